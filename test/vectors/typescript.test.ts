/** The TypeScript client plays every vector, over tRPC. */
import { expect, test } from 'vitest';
import { CourierClient, type CourierError, type EventDraft, type EventIterator, type Gap, type OnGap } from '../../client/src/index.ts';
import { type PlayedVector, startScriptedServer } from './server.ts';
import {
  allVectors,
  type BatchVector,
  type Draft,
  type Failure,
  type HistoryVector,
  type PublishVector,
  type Receipt,
  receiptOf,
  resultEvents,
  type SubscribeVector,
  type Vector,
  type WireEvent,
} from './vector.ts';

/** Next to no delay, where the gateway does not ask for one. */
const RETRY = { minDelayMs: 1, maxDelayMs: 5, busyDelayMs: 1 };

test.each(allVectors().filter(({ vector }) => vector.only !== 'plain'))('$ref', async ({ ref, vector }) => {
  await using server = await startScriptedServer();
  const run = server.play(ref);
  const gaps: Gap[] = [];
  await using client = clientOf(run.url, vector, gaps);
  if ('subscribe' in vector) await playSubscribe(client, vector, run, gaps);
  else if ('publish' in vector) await playPublish(client, vector);
  else if ('publish_batch' in vector) await playBatch(client, vector);
  else await playHistory(client, vector);
  expect(run.seen()).toMatchObject({ mismatches: [], complete: true });
});

test.each(allVectors().filter(({ vector }) => 'history' in vector))('$ref, with an iterator', async ({ ref, vector }) => {
  await using server = await startScriptedServer();
  const run = server.play(ref);
  await using client = clientOf(run.url, vector, []);
  await iterateHistory(client, vector as HistoryVector);
  expect(run.seen()).toMatchObject({ mismatches: [], complete: true });
});

function clientOf(url: string, { client = {} }: Vector, gaps: Gap[]): CourierClient {
  const { token = 't1', on_gap, timeout_ms: timeoutMs, give_up_after_ms: giveUpAfter } = client;
  const options = { url, retry: RETRY, onGap: on_gap && onGapOf(on_gap, gaps), timeoutMs, giveUpAfter };
  if (typeof token === 'string') return new CourierClient({ ...options, token });
  const left = [...token];
  return new CourierClient({ ...options, token: () => (left.length > 1 ? left.shift() : left[0]) as string });
}

function onGapOf(onGap: 'continue' | 'fail' | 'collect', gaps: Gap[]): OnGap {
  return onGap === 'collect' ? (gap) => void gaps.push(gap) : onGap;
}

async function playSubscribe(client: CourierClient, vector: SubscribeVector, run: PlayedVector, gaps: Gap[]): Promise<void> {
  const { channels, types, from, last_event_id: lastEventId, on_gap } = vector.subscribe;
  const { handled: expectedHandled, gaps: expectedGaps = [], ends } = vector.result;
  const onGap = on_gap && onGapOf(on_gap, gaps);
  // The vectors are data: what they ask for is not known to the compiler.
  const subscription = client.subscribe(channels as never, {
    types: types as never,
    from,
    lastEventId,
    onGap,
  }) as unknown as EventIterator<WireEvent>;
  const expected = resultEvents(vector).map(withDate);
  const events: WireEvent[] = [];
  const handled: (string | null)[] = [];
  const read = async () => {
    for await (const event of subscription) {
      events.push(event);
      handled.push(subscription.lastEventId ?? null);
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
    expect(error?.message).toContain(ends.message ?? '');
    if (error?.gap !== undefined) gaps.push(error.gap);
  }
  expect(events).toEqual(expected);
  expect(gaps).toEqual(expectedGaps);
  if (expectedHandled !== undefined) expect(handled).toEqual(expectedHandled);
}

async function playPublish(client: CourierClient, { publish, result }: PublishVector): Promise<void> {
  const { channel, type, options = {} } = publish;
  const { timestamp, user_id: userId, traceparent, idempotency_key: idempotencyKey } = options;
  const { correlation_id: correlationId, causation_id: causationId } = options;
  const given = {
    timestamp: timestamp === undefined ? undefined : new Date(timestamp),
    correlationId,
    causationId,
    userId,
    traceparent,
    idempotencyKey,
  };
  const published = client.publish(channel as never, type as never, dataOf(publish) as never, given);
  if ('error' in result) await expect(published).rejects.toMatchObject(errorOf(result.error));
  else expect(await published).toMatchObject(receiptWithDate(result.receipt));
}

async function playBatch(client: CourierClient, { publish_batch: drafts, result }: BatchVector): Promise<void> {
  const events = drafts.map(({ channel, type, options: { idempotency_key, timestamp, ...metadata } = {}, ...draft }) => ({
    channel,
    type,
    data: dataOf({ channel, type, ...draft }),
    metadata: { ...metadata, ...(timestamp !== undefined && { timestamp: new Date(timestamp) }) },
    idempotency_key,
  }));
  const published = client.publishBatch(events as unknown as EventDraft[]);
  if ('error' in result) await expect(published).rejects.toMatchObject(errorOf(result.error));
  else expect(await published).toMatchObject(result.receipts.map(receiptWithDate));
}

/** The data of a publish, with the numbers that JSON has no form for. */
function dataOf({ data, not_json = {} }: Draft): object {
  return { ...data, ...Object.fromEntries(Object.entries(not_json).map(([field, text]) => [field, Number(text)])) };
}

function receiptWithDate(form: string | Receipt): object {
  const { timestamp, ...receipt } = receiptOf(form);
  return { ...receipt, timestamp: new Date(timestamp) };
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

/** The same without pages: gaps are passed over, as the pages have them. */
async function iterateHistory(client: CourierClient, vector: HistoryVector): Promise<void> {
  const { channels, types, after, limit: pageSize } = vector.history;
  const { result } = vector;
  const events: WireEvent[] = [];
  const read = async () => {
    const all = client.iterateHistory(channels as never, { types: types as never, after, pageSize, onGap: 'continue' });
    for await (const event of all) events.push(event as unknown as WireEvent);
  };
  if ('error' in result) await expect(read()).rejects.toMatchObject(errorOf(result.error));
  else {
    await read();
    expect(events).toEqual(resultEvents(vector).map(withDate));
  }
}

function errorOf({ code, message = '', ...rest }: Failure): object {
  const { issues, retry_after_ms: retryAfterMs, channel, retryable, idempotency_key: idempotencyKey, may_be_stored: mayBeStored } = rest;
  return {
    code,
    message: expect.stringContaining(message),
    ...(issues && { issues }),
    ...(retryAfterMs && { retryAfterMs }),
    ...(channel && { channel }),
    ...(retryable !== undefined && { retryable }),
    ...(idempotencyKey && { idempotencyKey }),
    ...(mayBeStored !== undefined && { mayBeStored }),
  };
}

/** An event as tRPC clients have it. */
function withDate(event: WireEvent): WireEvent {
  return { ...event, metadata: { ...event.metadata, timestamp: new Date(event.metadata['timestamp'] as string) } };
}
