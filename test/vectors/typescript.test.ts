/** The TypeScript client plays every vector, over tRPC. */
import { expect, test } from 'vitest';
import { CourierClient, type CourierError, type Gap } from '../../client/src/index.ts';
import { type PlayedVector, startScriptedServer } from './server.ts';
import {
  allVectors,
  type HistoryVector,
  type PublishVector,
  receiptOf,
  resultEvents,
  type ScriptedError,
  type SubscribeVector,
  type Vector,
  type WireEvent,
} from './vector.ts';

/** Next to no delay, where the gateway does not ask for one. */
const RETRY = { minDelayMs: 1, maxDelayMs: 5, busyDelayMs: 1 };

test.each(allVectors().filter(({ vector }) => vector.only !== 'plain'))('$ref', async ({ ref, vector }) => {
  await using server = await startScriptedServer();
  const run = server.play(ref);
  await using client = clientOf(run.url, vector);
  if ('subscribe' in vector) await playSubscribe(client, vector, run);
  else if ('publish' in vector) await playPublish(client, vector);
  else await playHistory(client, vector);
  expect(run.seen()).toMatchObject({ mismatches: [], complete: true });
});

function clientOf(url: string, vector: Vector): CourierClient {
  const token = vector.client?.token ?? 't1';
  if (typeof token === 'string') return new CourierClient({ url, token, retry: RETRY });
  const left = [...token];
  return new CourierClient({ url, token: () => (left.length > 1 ? left.shift() : left[0]) as string, retry: RETRY });
}

async function playSubscribe(client: CourierClient, vector: SubscribeVector, run: PlayedVector): Promise<void> {
  const { channels, types, from, last_event_id: lastEventId, on_gap = 'fail' } = vector.subscribe;
  const { gaps: expectedGaps, ends } = vector.result;
  const gaps: Gap[] = [];
  const onGap = on_gap === 'collect' ? (gap: Gap) => void gaps.push(gap) : on_gap;
  // The vectors are data: what they ask for is not known to the compiler.
  const subscription = client.subscribe(channels as never, { types: types as never, from, lastEventId, onGap }) as AsyncIterable<WireEvent>;
  const expected = resultEvents(vector).map(withDate);
  const events: WireEvent[] = [];
  const read = async () => {
    for await (const event of subscription) {
      events.push(event);
      if (ends === null && events.length === expected.length) return;
    }
  };
  if (ends === null) {
    await read();
    await run.done();
  } else {
    const error = await read().then(
      () => undefined,
      (reason: CourierError) => reason,
    );
    expect(error).toMatchObject({ code: typeof ends.code === 'string' ? ends.code : ends.code.trpc });
    const [gap] = expectedGaps ?? [];
    expect(error?.message).toContain(ends.message ?? '');
    expect(error?.gap).toEqual(gap);
  }
  expect(events).toEqual(expected);
  if (on_gap === 'collect') expect(gaps).toEqual(expectedGaps);
}

async function playPublish(client: CourierClient, { publish, result }: PublishVector): Promise<void> {
  const { channel, type, data, options = {} } = publish;
  const { timestamp, correlation_id: correlationId, user_id: userId, traceparent, idempotency_key: idempotencyKey } = options;
  const given = {
    timestamp: timestamp === undefined ? undefined : new Date(timestamp),
    correlationId,
    userId,
    traceparent,
    idempotencyKey,
  };
  const published = client.publish(channel as never, type as never, data as never, given);
  if ('error' in result) await expect(published).rejects.toMatchObject(errorOf(result.error));
  else {
    const { timestamp: at, ...receipt } = receiptOf(result.receipt);
    expect(await published).toMatchObject({ ...receipt, timestamp: new Date(at) });
  }
}

async function playHistory(client: CourierClient, vector: HistoryVector): Promise<void> {
  const { channels, types, after, limit } = vector.history;
  const { result } = vector;
  const events: WireEvent[] = [];
  const gaps: Gap[] = [];
  let next = after;
  const read = async () => {
    for (let more = true; more; ) {
      const page = await client.history(channels as never, { types: types as never, after: next, limit });
      events.push(...(page.events as unknown as WireEvent[]));
      if (page.gap !== null) gaps.push(page.gap);
      ({ next, has_more: more } = page);
    }
  };
  if ('error' in result) await expect(read()).rejects.toMatchObject(errorOf(result.error));
  else {
    await read();
    expect({ events, gaps, next }).toEqual({ events: resultEvents(vector).map(withDate), gaps: result.gaps ?? [], next: result.next });
  }
}

function errorOf({ code, message = '', issues, retry_after_ms: retryAfterMs }: ScriptedError): object {
  return { code, message: expect.stringContaining(message), ...(issues && { issues }), ...(retryAfterMs && { retryAfterMs }) };
}

/** An event as tRPC clients have it. */
function withDate(event: WireEvent): WireEvent {
  return { ...event, metadata: { ...event.metadata, timestamp: new Date(event.metadata['timestamp'] as string) } };
}
