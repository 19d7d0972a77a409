/** What led to an event, and the piece of work that it belongs to: on every surface, with every log, and on several instances. */
import { describe, expect, inject, test, vi } from 'vitest';
import { createDatabase } from '../../scripts/servers.ts';
import type { PublishOutcome } from '../../src/contract/types.ts';
import { CourierError } from '../../src/errors.ts';
import type { LogQuery } from '../../src/log/log.ts';
import { startClusterOf } from '../helpers/cluster.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway, type TestGateway, type TradeDraft, worker } from '../helpers/trade.ts';
import { TRANSPORTS } from '../helpers/transports.ts';

/** What a publisher says of an event. */
interface Given {
  readonly correlation_id?: string;
  readonly causation_id?: string;
}
const draftWith = (metadata?: Given): TradeDraft => ({ ...worker.note(), ...(metadata && { metadata }) });

interface Refusal {
  readonly code: string;
  readonly issues?: readonly { readonly path: string; readonly message: string }[] | undefined;
}
interface Published {
  readonly id?: string;
  readonly refusal?: Refusal;
}

/** How one event is published, to be stored or refused. */
type Publish = (gateway: TestGateway, draft: TradeDraft) => Promise<Published>;

const rootOf = (gateway: TestGateway, sub = 'root') => gateway.token(sub, 'admin');

function published(receipt: Promise<{ readonly id: string }>): Promise<Published> {
  return receipt.then(
    ({ id }) => ({ id }),
    ({ data }: { data: Refusal }) => ({ refusal: { code: data.code, issues: data.issues } }),
  );
}

async function post(gateway: TestGateway, body: object, headers: Record<string, string> = {}, sub?: string): Promise<Published> {
  const response = await fetch(`${gateway.url}/publish`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await rootOf(gateway, sub)}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  const answer = (await response.json()) as { readonly id: string } & Refusal;
  return response.status === 201 ? { id: answer.id } : { refusal: { code: answer.code, issues: answer.issues } };
}

const WAYS: readonly (readonly [name: string, publish: Publish])[] = [
  [
    'tRPC over WebSocket',
    async (gateway, draft) => {
      await using client = gateway.webSocketClient(await rootOf(gateway));
      return await published(client.trpc.events.publish.mutate(draft));
    },
  ],
  ['tRPC over HTTP', async (gateway, draft) => published(gateway.httpClient(await rootOf(gateway)).events.publish.mutate(draft))],
  ['plain HTTP', (gateway, draft) => post(gateway, draft)],
  [
    'the headers of plain HTTP',
    (gateway, { metadata: { correlation_id, causation_id } = {}, ...draft }) => {
      const headers = {
        ...(correlation_id && { 'x-correlation-id': correlation_id }),
        ...(causation_id && { 'x-causation-id': causation_id }),
      };
      return post(gateway, draft, headers);
    },
  ],
];

async function store(publish: Publish, gateway: TestGateway, metadata?: Given): Promise<string> {
  const { id, refusal } = await publish(gateway, draftWith(metadata));
  if (id === undefined) throw new Error(`refused: ${JSON.stringify(refusal)}`);
  return id;
}

interface Told {
  readonly id: string;
  readonly metadata?: object;
}
/** Ids of an event: its own, that of its piece of work, and that of its cause. */
type Ids = readonly [id: string, correlationId: unknown, causationId: unknown];
const idsOf = ({ id, metadata }: Told): Ids => {
  const { correlation_id, causation_id } = metadata as Given;
  return [id, correlation_id, causation_id];
};

/** Pages of history, the oldest first. */
const PAGES: readonly (readonly [name: string, read: (gateway: TestGateway) => Promise<readonly Told[]>])[] = [
  [
    'tRPC over HTTP',
    async (gateway) => (await gateway.httpClient(await rootOf(gateway)).events.history.query({ channels: ['**'] })).events,
  ],
  [
    'tRPC over WebSocket',
    async (gateway) => {
      await using client = gateway.webSocketClient(await rootOf(gateway));
      return (await client.trpc.events.history.query({ channels: ['**'], order: 'newest' })).events.toReversed();
    },
  ],
  [
    'plain HTTP',
    async (gateway) => {
      const response = await fetch(`${gateway.url}/events/**`, { headers: { authorization: `Bearer ${await rootOf(gateway)}` } });
      return ((await response.json()) as { readonly events: readonly Told[] }).events;
    },
  ],
];

async function historyOf(gateway: TestGateway): Promise<readonly Ids[]> {
  const [, read] = PAGES[0] as (typeof PAGES)[number];
  return (await read(gateway)).map(idsOf);
}

const seqOf = (id: string) => Number(id.split('-')[1]);
const epochOf = (id: string) => id.split('-')[0] as string;

/** The numbers of what belongs together, as the log finds it. */
async function related({ pipeline }: TestGateway, channels: LogQuery['channels']): Promise<number[]> {
  const { events } = await pipeline.log.read({ afterSeq: 0, channels, limit: 100 }, new AbortController().signal);
  return events.map(({ seq }) => seq);
}

/** Publishes, in each way, events that say nothing, their cause, their piece of work, and both. */
async function publishInEachWay(gateway: TestGateway): Promise<readonly Ids[]> {
  const expected: Ids[] = [];
  for (const [, publish] of WAYS) {
    const first = await store(publish, gateway);
    const second = await store(publish, gateway, { causation_id: first });
    expected.push([first, first, undefined], [second, first, first]);
    expected.push([await store(publish, gateway, { correlation_id: 'run-7' }), 'run-7', undefined]);
    expected.push([await store(publish, gateway, { correlation_id: 'run-7', causation_id: second }), 'run-7', second]);
  }
  return expected;
}

const LOGS: readonly (readonly [name: string, addressOf: (file: string) => Promise<string>])[] = [
  ['in memory', async () => 'memory:'],
  ['SQLite', async (file) => `sqlite:${file}`],
  ['PostgreSQL', () => createDatabase(inject('postgresUrl'))],
];

describe.each(LOGS)('with the log %s', (_name, addressOf) => {
  test('every event that is told has a correlation id: what was given, else its cause, else its own id', async () => {
    using folder = temporaryFolder();
    await using gateway = await startGateway({ COURIER_LOG: await addressOf(folder.file('log.db')) });
    const token = await rootOf(gateway);
    await using stack = new AsyncDisposableStack();
    const live = TRANSPORTS.map(({ subscribe }) => stack.use(subscribe(gateway.port, { token })));
    await Promise.all(live.map((peer) => peer.live()));
    const expected = await publishInEachWay(gateway);
    const replayed = TRANSPORTS.map(({ subscribe }) => stack.use(subscribe(gateway.port, { token, from: 'earliest' })));
    for (const peer of [...live, ...replayed]) {
      await peer.until(({ events }) => events.length > expected.length);
      expect(peer.published.map(idsOf)).toEqual(expected);
      for (const { type, metadata } of peer.events)
        if (type === 'courier.live') expect(metadata).toEqual({ timestamp: expect.any(String), source: 'courier' });
    }
    for (const [name, read] of PAGES) expect((await read(gateway)).map(idsOf), name).toEqual(expected);
  });

  test('the log finds what belongs together, but for causes that are not of it', async () => {
    using folder = temporaryFolder();
    await using gateway = await startGateway({ COURIER_LOG: await addressOf(folder.file('log.db')) });
    const [, publish] = WAYS[1] as (typeof WAYS)[number];
    const first = await store(publish, gateway);
    const caused = await store(publish, gateway, { causation_id: first });
    const both = await store(publish, gateway, { causation_id: first, correlation_id: 'run-7' });
    const strange = await store(publish, gateway, { causation_id: 'another-1' });
    expect(await historyOf(gateway)).toEqual([
      [first, first, undefined],
      [caused, first, first],
      [both, 'run-7', first],
      [strange, 'another-1', 'another-1'],
    ]);
    expect(await related(gateway, { causes: [seqOf(first)] })).toEqual([caused, both].map(seqOf));
    expect(await related(gateway, { correlationId: first })).toEqual([seqOf(caused)]);
    expect(await related(gateway, { correlationId: 'run-7' })).toEqual([seqOf(both)]);
    expect(await related(gateway, { correlationId: 'another-1' })).toEqual([seqOf(strange)]);
  });
});

test('quotes and backslashes in a publisher and in what it says change nothing', async () => {
  await using gateway = await startGateway();
  const subs = ['a"b', 'a\\', '\\"', '","correlation_id":"x', '}'];
  const first = await Promise.all(subs.map((sub) => post(gateway, draftWith(), {}, sub)));
  const second = await post(gateway, draftWith({ causation_id: first[0]?.id as string }), {}, subs[1]);
  const third = await post(
    gateway,
    { ...worker.note('","correlation_id":"y"'), metadata: { user_id: '","correlation_id":"z' } },
    {},
    subs[2],
  );
  const token = await rootOf(gateway);
  await using peer = TRANSPORTS[0]?.subscribe(gateway.port, { token, from: 'earliest' }) as ReturnType<(typeof TRANSPORTS)[0]['subscribe']>;
  await peer.live();
  const by = new Map(peer.published.map((event) => [event.id, event]));
  for (const [index, { id = '' }] of first.entries())
    expect(by.get(id)?.metadata).toEqual({ timestamp: expect.any(String), source: subs[index], correlation_id: id });
  expect(by.get(second.id as string)?.metadata).toMatchObject({
    source: subs[1],
    correlation_id: first[0]?.id,
    causation_id: first[0]?.id,
  });
  expect(by.get(third.id as string)?.metadata).toMatchObject({ correlation_id: third.id, user_id: '","correlation_id":"z' });
});

describe.each(WAYS)('over %s', (_name, publish) => {
  test.each(['event 1', 'e', 'E-1', 'e-01', 'e-1.5', `e-${'9'.repeat(17)}`, `${'e'.repeat(33)}-1`])(
    'a causation id that is no position is refused: %s',
    async (causation_id) => {
      await using gateway = await startGateway();
      const { refusal } = await publish(gateway, draftWith({ causation_id }));
      const issue = { path: 'metadata.causation_id', message: expect.stringMatching(/^is not a position of Courier/) };
      expect(refusal).toEqual({ code: 'BAD_REQUEST', issues: [issue] });
      expect(await historyOf(gateway)).toEqual([]);
    },
  );

  test('one of an event that is still to come is refused, and nothing is stored', async () => {
    await using gateway = await startGateway();
    const first = await store(publish, gateway);
    // Of the event itself, as the next number is its own; and of one long after it.
    for (const seq of [2, 3, Number.MAX_SAFE_INTEGER]) {
      const { refusal } = await publish(gateway, draftWith({ causation_id: `${epochOf(first)}-${seq}` }));
      const issue = { path: 'metadata.causation_id', message: 'is of no event that was published: an event is caused by one before it' };
      expect(refusal).toEqual({ code: 'BAD_REQUEST', issues: [issue] });
    }
    expect(await historyOf(gateway)).toEqual([[first, first, undefined]]);
    expect(seqOf(await store(publish, gateway, { causation_id: first }))).toBe(2);
  });
});

describe('of a batch', () => {
  test('one wrong causation id is told with its place, and nothing of the batch is stored', async () => {
    await using gateway = await startGateway();
    const trpc = gateway.httpClient(await rootOf(gateway));
    const [first] = await trpc.events.publishBatch.mutate([draftWith()]);
    const id = first?.id as string;
    for (const causation_id of ['event 1', `${epochOf(id)}-2`]) {
      const batch = [draftWith({ causation_id: id }), draftWith({ causation_id }), draftWith()];
      const { refusal } = await published(trpc.events.publishBatch.mutate(batch).then(([receipt]) => receipt as { id: string }));
      expect(refusal).toMatchObject({ code: 'BAD_REQUEST', issues: [{ path: '1.metadata.causation_id' }] });
    }
    expect(await historyOf(gateway)).toEqual([[id, id, undefined]]);
    const receipts = await trpc.events.publishBatch.mutate([draftWith({ causation_id: id }), draftWith()]);
    const [caused, begun] = receipts.map((receipt) => receipt.id);
    expect((await historyOf(gateway)).slice(1)).toEqual([
      [caused, id, id],
      [begun, begun, undefined],
    ]);
  });

  test('published at once, each by itself, the event alone is refused', async () => {
    await using gateway = await startGateway();
    await using client = gateway.webSocketClient(await rootOf(gateway));
    const { id } = await client.trpc.events.publish.mutate(draftWith());
    const given = [
      { causation_id: id },
      { causation_id: `${epochOf(id)}-9` },
      { causation_id: '9' },
      undefined,
      { causation_id: 'other-9' },
    ];
    const outcomes = await client.trpc.events.publishEach.mutate(given.map(draftWith));
    expect(outcomes.map(pathsOrStored)).toEqual(['stored', ['metadata.causation_id'], ['metadata.causation_id'], 'stored', 'stored']);
    expect((await historyOf(gateway)).map(([, ...ids]) => ids)).toEqual([
      [id, undefined],
      [id, id],
      [`${epochOf(id)}-3`, undefined],
      ['other-9', 'other-9'],
    ]);
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toContain('courier_publish_request_duration_seconds_count{outcome="refused"} 1');
  });

  test('where the log cannot say whether the cause is stored, none of them is, so that repeating them keeps their order', async () => {
    await using gateway = await startGateway();
    const trpc = gateway.httpClient(await rootOf(gateway));
    const { id } = await trpc.events.publish.mutate(draftWith());
    const away = new CourierError('SERVICE_UNAVAILABLE', 'the event log cannot serve this now: it is away', { retryAfterMs: 1000 });
    using _bounds = vi.spyOn(gateway.pipeline.log, 'bounds').mockRejectedValueOnce(away);
    const ahead = draftWith({ causation_id: `${epochOf(id)}-9` });
    const outcomes = await trpc.events.publishEach.mutate([draftWith(), ahead, draftWith()]);
    expect(outcomes).toMatchObject(Array(3).fill({ error: { code: 'SERVICE_UNAVAILABLE', retryAfterMs: 1000 } }));
    expect(await historyOf(gateway)).toHaveLength(1);
  });
});

/** `stored`, or the paths of what is wrong. */
function pathsOrStored(outcome: PublishOutcome): unknown {
  return 'error' in outcome ? outcome.error.issues?.map(({ path }) => path) : 'stored';
}

test('a cause of an earlier epoch is known as far as its events were kept', async () => {
  const env = { COURIER_LOG: await createDatabase(inject('postgresUrl')) };
  const [, publish] = WAYS[2] as (typeof WAYS)[number];
  let first = '';
  {
    await using gateway = await startGateway(env);
    first = await store(publish, gateway);
  }
  await using gateway = await startGateway(env);
  const lost = `${epochOf(first)}-2`;
  const caused = await store(publish, gateway, { causation_id: first });
  const strange = await store(publish, gateway, { causation_id: lost });
  expect(epochOf(caused)).not.toBe(epochOf(first));
  expect(await historyOf(gateway)).toEqual([
    [first, first, undefined],
    [caused, first, first],
    [strange, lost, lost],
  ]);
  expect(await related(gateway, { causes: [1, 2] })).toEqual([seqOf(caused)]);
});

/** It hears nothing of what is stored until the end of the scope. */
function deafened({ pipeline: { tail } }: TestGateway): Disposable {
  const spies = [vi.spyOn(tail, 'offer').mockReturnValue(), vi.spyOn(tail, 'checkHead').mockReturnValue()];
  return {
    [Symbol.dispose]: () => {
      for (const spy of spies) spy.mockRestore();
      tail.checkHead();
    },
  };
}

test('a cause that another instance has stored is taken by one that has yet to hear of it', async () => {
  await using cluster = await startClusterOf(startGateway);
  const [one, two] = cluster.gateways;
  const token = await rootOf(two);
  const expected: Ids[] = [];
  {
    using _deafened = deafened(two);
    for (const [, publish] of WAYS) {
      const cause = await store(WAYS[1]?.[1] as Publish, one);
      expect(two.pipeline.tail.seq).toBeLessThan(seqOf(cause));
      const caused = await store(publish, two, { causation_id: cause });
      expected.push([cause, cause, undefined], [caused, cause, cause]);
      const { refusal } = await publish(two, draftWith({ causation_id: `${epochOf(cause)}-${seqOf(caused) + 1}` }));
      expect(refusal).toMatchObject({ code: 'BAD_REQUEST', issues: [{ path: 'metadata.causation_id' }] });
    }
    const cause = await store(WAYS[1]?.[1] as Publish, one);
    const given = [cause, `${epochOf(cause)}-${seqOf(cause) + 1}`, cause].map((causation_id) => draftWith({ causation_id }));
    const outcomes = await two.httpClient(token).events.publishEach.mutate(given);
    expect(outcomes.map(pathsOrStored)).toEqual(['stored', ['metadata.causation_id'], 'stored']);
    const ids = outcomes.flatMap((outcome) => ('id' in outcome ? outcome.id : []));
    expected.push([cause, cause, undefined], ...ids.map((id) => [id, cause, cause] as const));
  }
  for (const { port } of cluster.gateways) {
    for (const { subscribe } of TRANSPORTS) {
      await using peer = subscribe(port, { token, from: 'earliest' });
      await peer.until(({ published }) => published.length >= expected.length);
      expect(peer.published.map(idsOf)).toEqual(expected);
    }
  }
  expect(await historyOf(one)).toEqual(expected);
});

test('a header that differs from what the body says is refused', async () => {
  await using gateway = await startGateway();
  const first = await post(gateway, draftWith());
  const { refusal } = await post(gateway, draftWith({ causation_id: 'another-1' }), { 'x-causation-id': first.id as string });
  expect(refusal).toMatchObject({
    code: 'BAD_REQUEST',
    issues: [{ path: 'metadata.causation_id', message: 'differs from X-Causation-Id' }],
  });
});
