/** `events.publishEach`: several events in one call, each as if it were published alone, and in the order of the list. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { Connection } from '../../src/connections/connection.ts';
import { defineContract } from '../../src/contract/define.ts';
import type { PublishOutcome } from '../../src/contract/types.ts';
import { CourierError } from '../../src/errors.ts';
import { startClusterOf } from '../helpers/cluster.ts';
import { UNLIMITED } from '../helpers/gateway.ts';
import { signIn } from '../helpers/raw-socket.ts';
import { copies } from '../helpers/samples.ts';
import { startGateway, stranger, type TestGateway, type TradeClient, type TradeDraft, worker } from '../helpers/trade.ts';

const on = (id: string, text = 'k') => worker.note(text, id);
const publisher = (gateway: TestGateway, sub = 'ada') => gateway.token(sub, 'user', { publish: [worker.all] });
const limited = (limits: object) => startGateway({ COURIER_LIMITS: JSON.stringify({ ...JSON.parse(UNLIMITED), ...limits }) });
const perMinute = (publishPerMinute: number) => ({ publishPerSecond: null, publishPerMinute });

/** What came of a call's events, without the id of the call. */
const withoutRequest = (outcomes: readonly PublishOutcome[]) =>
  outcomes.map((outcome) => {
    if (!('error' in outcome)) return outcome;
    const { requestId, ...error } = outcome.error;
    expect(requestId).toEqual(expect.any(String));
    return { error };
  });

/** What a publish of its own answers, in the form of an element of the list. */
async function alone(trpc: TradeClient, draft: TradeDraft): Promise<unknown> {
  const refused = (error: { message: string; data: Record<string, unknown> }) => {
    const { code, path: _path, requestId: _requestId, httpStatus: _httpStatus, ...details } = error.data;
    return { error: { code, message: error.message, ...details } };
  };
  return trpc.events.publish.mutate(draft).catch(refused);
}

/** `stored`, or the code of what refused it. */
const told = (outcomes: readonly PublishOutcome[]) => outcomes.map((outcome) => ('error' in outcome ? outcome.error.code : 'stored'));

async function notes(gateway: TestGateway, id: string): Promise<unknown[]> {
  const trpc = gateway.httpClient(await gateway.token('root', 'admin'));
  return worker.notesIn((await trpc.events.history.query({ channels: [worker.channel(id)] })).events as never);
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe('what is wrong with one event', () => {
  const draft = on('a');
  const FAULTS: Readonly<Record<string, unknown>> = {
    'a channel that is not granted': { ...stranger.list(['SPX']) },
    'a channel that is not granted, with wrong data': { ...stranger.list(['SPX']), data: {} },
    'data of another form': { ...draft, data: { extra: 1, [worker.noted.field]: 5 } },
    'the id of another channel': { ...draft, channel: worker.channel('b') },
    'no such type': { ...draft, type: 'nothing.happened' },
    'a type that the channel does not carry': { ...draft, channel: stranger.channel('a') },
    'a key that there is not': { ...draft, key: 'k' },
    'an idempotency key with spaces': { ...draft, idempotency_key: 'a b' },
    'a time that is none': { ...draft, metadata: { timestamp: 'now' } },
    'a number that doubles round': worker.report({ a: 2 ** 60 }),
    'data that is too large': worker.report({ a: 'x'.repeat(100 * 1024) }),
    'data whose JSON is too large': worker.report({ a: '"'.repeat(60 * 1024) }),
    nothing: null,
    text: 'event',
    'a list': [draft],
  };
  const faults = Object.values(FAULTS) as TradeDraft[];

  test.each(['webSocket', 'http'])('refuses it as its own publish does, and no other event, over %s', async (transport) => {
    await using gateway = await startGateway();
    const token = await publisher(gateway);
    await using socket = gateway.webSocketClient(token);
    const trpc = transport === 'http' ? gateway.httpClient(token) : socket.trpc;
    const outcomes = withoutRequest(
      await trpc.events.publishEach.mutate(faults.flatMap((fault, index) => [structuredClone(fault), on('a', `after ${index}`)])),
    );
    const expected = [];
    for (const fault of faults) expected.push(await alone(trpc, fault));
    expect(outcomes.filter((_, index) => index % 2 === 0)).toEqual(expected);
    expect(expected.every((one) => typeof one === 'object' && one !== null && 'error' in one)).toBe(true);
    const receipts = outcomes.filter((_, index) => index % 2 === 1);
    expect(receipts).toMatchObject(
      faults.map(() => ({ channel: worker.channel('a'), type: worker.noted.type, timestamp: expect.any(Date), duplicate: false })),
    );
    expect(await notes(gateway, 'a')).toEqual(faults.map((_, index) => `after ${index}`));
  });

  test('is counted and told of like that of single publishes', async () => {
    const figures = async (publish: (trpc: TradeClient) => Promise<unknown>) => {
      await using gateway = await startGateway();
      await using socket = gateway.webSocketClient(await publisher(gateway));
      await publish(socket.trpc);
      const text = await (await fetch(`${gateway.url}/metrics`)).text();
      const names = /^courier_(messages_published|validation_failures|errors|publish_request_duration_seconds_count|rate_limit)/;
      return text.split('\n').filter((line) => names.test(line));
    };
    const drafts = [...faults, draft, draft].map((one) => structuredClone(one));
    const each = await figures((trpc) => trpc.events.publishEach.mutate(drafts));
    expect(each).toEqual(
      await figures(async (trpc) => {
        for (const one of drafts) await alone(trpc, one);
      }),
    );
    expect(each).toContain('courier_publish_request_duration_seconds_count{outcome="stored"} 2');
  });
});

test('a condition of a contract that fails may be repeated, and holds the later events of its channel back', async () => {
  const text = z.string().refine((value) => {
    if (value === 'broken') throw new Error('a defect');
    return true;
  });
  const data = z.strictObject({ text });
  const service = { events: { 'note.made': { on: ['desk'] as const, description: 'A note.', data, examples: [{ text: 'a' }] as const } } };
  const contract = defineContract({ name: 'notes', families: { desk: { id: 'desk_id' } }, services: { notes: service } } as never) as never;
  await using gateway = await startGateway({}, {}, { contract });
  const trpc = gateway.httpClient(await gateway.token('root', 'admin'));
  const note = (desk: string, value: string) => ({ type: 'note.made', channel: `desk.${desk}`, data: { text: value } });
  const outcomes = withoutRequest(
    await trpc.events.publishEach.mutate([note('a', '1'), note('a', 'broken'), note('a', '2'), note('b', '3'), note('a', '')]),
  );
  expect(told(outcomes)).toEqual(['stored', 'INTERNAL_SERVER_ERROR', 'INTERNAL_SERVER_ERROR', 'stored', 'INTERNAL_SERVER_ERROR']);
  expect(outcomes[1]).toEqual(await alone(trpc, note('a', 'broken')));
});

describe('a limit', () => {
  test('of a channel refuses the later events of this channel, and nothing else', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    await using gateway = await limited({ channels: { [worker.channel('full')]: perMinute(2) } });
    await using socket = gateway.webSocketClient(await publisher(gateway));
    const drafts = ['full', 'a', 'full', 'full', 'b', 'full', 'a'].map((id, index) => on(id, String(index)));
    const outcomes = withoutRequest(await socket.trpc.events.publishEach.mutate(drafts));
    const refused = await alone(socket.trpc, on('full'));
    expect(refused).toMatchObject({ error: { code: 'TOO_MANY_REQUESTS', channel: worker.channel('full'), retryAfterMs: 30_000 } });
    expect(outcomes.map((outcome) => ('error' in outcome ? outcome : 'stored'))).toEqual([
      'stored',
      'stored',
      'stored',
      refused,
      'stored',
      refused,
      'stored',
    ]);
    expect([await notes(gateway, 'full'), await notes(gateway, 'a')]).toEqual([
      ['0', '2'],
      ['1', '6'],
    ]);
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toContain('courier_rate_limit_hits_total{limit="channel"} 3');
  });

  test('of a channel takes nothing for what is wrong, and gives its caller back what it refuses', async () => {
    await using gateway = await limited({ user: perMinute(6), channels: { [worker.channel('full')]: perMinute(1) } });
    await using socket = gateway.webSocketClient(await publisher(gateway));
    const wrong = { ...on('full'), data: {} };
    const outcomes = withoutRequest(await socket.trpc.events.publishEach.mutate([wrong, on('full'), on('full'), on('full')]));
    expect(told(outcomes)).toEqual(['BAD_REQUEST', 'stored', 'TOO_MANY_REQUESTS', 'TOO_MANY_REQUESTS']);
    // One was wrong, one is stored, and two were given back.
    expect(told(await socket.trpc.events.publishEach.mutate(copies(5, on('a'))))).toEqual([
      ...Array(4).fill('stored'),
      'TOO_MANY_REQUESTS',
    ]);
  });

  test('of the caller lets through as many events as it has room for', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    await using gateway = await limited({ user: perMinute(4) });
    await using socket = gateway.webSocketClient(await publisher(gateway));
    await socket.trpc.events.publish.mutate(on('a', 'first'));
    const wrong = { ...on('a'), data: {} };
    const outcomes = withoutRequest(
      await socket.trpc.events.publishEach.mutate([on('a', '0'), wrong, on('b', '2'), on('a', '3'), on('c', '4')]),
    );
    const refused = await alone(socket.trpc, on('a'));
    expect(refused).toMatchObject({ error: { message: 'publish: the limit of "ada" is reached', retryAfterMs: 15_000 } });
    expect(told(outcomes)).toEqual(['stored', 'BAD_REQUEST', 'stored', 'TOO_MANY_REQUESTS', 'TOO_MANY_REQUESTS']);
    expect(outcomes.slice(3)).toEqual([refused, refused]);
    expect(await notes(gateway, 'a')).toEqual(['first', '0']);
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toContain('courier_rate_limit_hits_total{limit="publish"} 3');
  });

  test('is one on all instances, and lets the first events of each call through', async () => {
    const channels = { [worker.all]: perMinute(4) };
    const limits = { ...JSON.parse(UNLIMITED), user: perMinute(8), channels };
    await using cluster = await startClusterOf(startGateway, { COURIER_LIMITS: JSON.stringify(limits) });
    const ofChannel = await Promise.all(
      cluster.gateways.map(async (gateway) => {
        const { events } = gateway.httpClient(await publisher(gateway, gateway.url));
        return told(await events.publishEach.mutate(copies(5, on('a'))));
      }),
    );
    const ofCaller = await Promise.all(
      cluster.gateways.map(async (gateway) => {
        const { events } = gateway.httpClient(await publisher(gateway));
        return told(await events.publishEach.mutate(Array.from({ length: 6 }, (_, index) => on(`b${index}`))));
      }),
    );
    for (const outcomes of [ofChannel, ofCaller]) {
      for (const call of outcomes) expect(call.lastIndexOf('stored') + 1).toBe(call.filter((code) => code === 'stored').length);
    }
    const count = (outcomes: string[][]) => outcomes.flat().filter((code) => code === 'stored').length;
    expect([count(ofChannel), count(ofCaller)]).toEqual([4, 8]);
  });

  test('that refuses events of a call is heeded by one that repeats them: a call counts once', async () => {
    await using gateway = await limited({ user: perMinute(1) });
    await using socket = gateway.webSocketClient(await publisher(gateway));
    for (let n = 0; n < 5; n += 1) await socket.trpc.events.publishEach.mutate(copies(500, on('a')));
    expect(await socket.trpc.auth.whoami.query()).toMatchObject({ sub: 'ada' });
    const calls = Array.from({ length: 1600 }, () => socket.trpc.events.publishEach.mutate([on('a')]).catch(() => undefined));
    const closed = new Promise((resolve) => socket.ws.connection?.ws.addEventListener('close', ({ code }) => resolve(code)));
    await Promise.all([calls, closed]);
    expect(await closed).toBe(4429);
  });
});

test('a log that fails refuses what was accepted, with its own error, and stores none of it', async () => {
  await using gateway = await startGateway();
  await using socket = gateway.webSocketClient(await publisher(gateway));
  const append = vi.spyOn(gateway.pipeline.log, 'append');
  append.mockRejectedValue(new CourierError('SERVICE_UNAVAILABLE', 'the disk is full', { retryAfterMs: 1000 }));
  const outcomes = withoutRequest(await socket.trpc.events.publishEach.mutate([on('a'), { ...on('a'), data: {} }, on('b')]));
  const refused = await alone(socket.trpc, on('a'));
  expect(refused).toEqual({ error: { code: 'SERVICE_UNAVAILABLE', message: 'the disk is full', retryAfterMs: 1000 } });
  expect([outcomes[0], outcomes[2]]).toEqual([refused, refused]);
  expect(told(outcomes)[1]).toBe('BAD_REQUEST');
  append.mockRestore();
  expect(await notes(gateway, 'a')).toEqual([]);
});

test('all that is accepted is appended at once, with keys that count in the call and across calls', async () => {
  await using gateway = await startGateway();
  await using socket = gateway.webSocketClient(await publisher(gateway));
  const append = vi.spyOn(gateway.pipeline.log, 'append');
  const keyed = (text: string, key: string) => ({ ...on('a', text), idempotency_key: key });
  const { publishEach, publish } = socket.trpc.events;
  const before = await publish.mutate(keyed('0', 'k0'));
  const [first, again, old, second] = await publishEach.mutate([keyed('1', 'k1'), keyed('2', 'k1'), keyed('3', 'k0'), keyed('4', 'k4')]);
  expect(append.mock.calls.map(([events]) => events.length)).toEqual([1, 4]);
  expect(first).toMatchObject({ duplicate: false });
  expect(again).toEqual({ ...first, duplicate: true });
  expect(old).toEqual({ ...before, duplicate: true });
  expect(await publish.mutate(keyed('5', 'k4'))).toEqual({ ...second, duplicate: true });
  expect(await notes(gateway, 'a')).toEqual(['0', '1', '4']);
});

test('a call whose caller is revoked before its events are stored fails as a whole, and stores nothing', async () => {
  await using gateway = await startGateway();
  const admin = gateway.httpClient(await gateway.token('root', 'admin'));
  const charge = Connection.prototype.chargeChannelsEach;
  // A limiter in Redis takes its time.
  vi.spyOn(Connection.prototype, 'chargeChannelsEach').mockImplementation(async function (this: Connection, events) {
    await admin.admin.revoke.mutate({ sub: 'ada' });
    return charge.call(this, events);
  });
  await using socket = await signIn(gateway.url, await publisher(gateway));
  const input = { json: [on('a'), { ...on('a'), data: {} }] };
  socket.send({ id: 1, method: 'mutation', params: { path: 'events.publishEach', input } });
  const [answer] = await socket.count(1);
  expect(JSON.parse(answer ?? '')).toMatchObject({
    id: 1,
    error: { json: { message: 'the token was revoked', data: { code: 'UNAUTHORIZED' } } },
  });
  expect((await socket.closed).code).toBe(1008);
  expect(await notes(gateway, 'a')).toEqual([]);
});

describe('as a whole', () => {
  test.each([
    ['no list', on('a')],
    ['nothing', undefined],
    ['an empty list', []],
    ['a list of more than 500', copies(501, on('a'))],
  ])('%s is refused as by publishBatch', async (_, input) => {
    await using gateway = await startGateway();
    await using socket = gateway.webSocketClient(await publisher(gateway));
    const refusal = (path: 'publishEach' | 'publishBatch') =>
      socket.trpc.events[path].mutate(input as never).then(
        () => undefined,
        ({ message, data }) => ({ message, ...data, path: undefined, requestId: undefined }),
      );
    expect(await refusal('publishEach')).toEqual(await refusal('publishBatch'));
    expect(await refusal('publishEach')).toMatchObject({ code: 'BAD_REQUEST' });
  });

  test('a list of 500 is taken', async () => {
    await using gateway = await startGateway();
    await using socket = gateway.webSocketClient(await publisher(gateway));
    const outcomes = await socket.trpc.events.publishEach.mutate(Array.from({ length: 500 }, (_, index) => on('a', String(index))));
    const positions = outcomes.map((outcome) => Number('id' in outcome && outcome.id.split('-')[1]));
    expect(positions).toEqual(Array.from({ length: 500 }, (_, index) => index + 1));
  });

  test('what cannot be read, and a caller who may publish nothing, is refused and counts once', async () => {
    await using gateway = await limited({ user: perMinute(1) });
    const refused = async (token: string, input: object) => {
      await using socket = await signIn(gateway.url, token);
      socket.send([1, 2].map((id) => ({ id, method: 'mutation', params: { path: 'events.publishEach', input } })));
      const answers = (await socket.count(2)).map((text) => JSON.parse(text) as { error: { json: { data: { code: string } } } });
      return answers.map(({ error }) => error.json.data.code);
    };
    const unreadable = { json: [on('a')], meta: { values: { 0: ['set'] } } };
    expect(await refused(await publisher(gateway), unreadable)).toEqual(['BAD_REQUEST', 'TOO_MANY_REQUESTS']);
    expect(await refused(await gateway.token('bob'), { json: copies(100, on('a')) })).toEqual(['FORBIDDEN', 'TOO_MANY_REQUESTS']);
  });
});
