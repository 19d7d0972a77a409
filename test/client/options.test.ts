/** Every option of the TypeScript client is checked when it is given, and named when it is wrong. */
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { BackgroundPublisher, CourierClient } from '../../client/src/index.ts';
import { fileCursor } from '../../client/src/node.ts';
import { progressOf } from '../helpers/samples.ts';
import { gatewayThat } from './publishes.ts';

const ADDRESS = 'http://127.0.0.1:9';
const NO_TIMES = [Number.NaN, -1, -0.001, Number.NEGATIVE_INFINITY, '5', null, true, {}];
const NO_COUNTS = [Number.NaN, 0, -1, 1.5, Number.POSITIVE_INFINITY, '5', null];
const NO_TEXTS = [5, null, '', {}];
const NO_FUNCTIONS = ['f', null, 5];
const NO_SIGNALS = [5, null, {}, new AbortController()];
const NO_GAP_CHOICES = ['ignore', null, 5, 'collect'];
const NO_LISTS = ['backtest.progress', 5, null, [5]];

/** Calls with a value for one option, which throws or rejects. */
type Call = (option: Record<string, unknown>) => unknown;

const withClient =
  (call: (client: CourierClient, option: never) => unknown): Call =>
  async (option) => {
    await using client = new CourierClient({ url: ADDRESS, token: 't' });
    return await call(client, option as never);
  };
const make: Call = (option) => new CourierClient({ url: ADDRESS, token: 't', ...option } as never);
const connect = withClient((client, option) => client.connect(option));
const setToken = withClient((client, option) => client.setToken('t', option));
const close = withClient((client, option) => client.close(option));
const publish = withClient((client, option) => client.publish('backtest.b1', 'backtest.progress', progressOf(), option));
const publishBatch = withClient((client, option) => client.publishBatch([], option));
const history = withClient((client, option) => client.history('global', option));
const trace = withClient((client, option) => client.trace({ correlationId: 'run' }, option));
const traceOf = withClient((client, option) => client.trace(option));
const iterate = withClient((client, option) => client.iterateHistory('global', option));
const subscribe = withClient((client, option) => client.subscribe('global', option));
const handle = withClient((client, option) => client.subscribe('global', () => undefined, option));
const background = withClient((client, option) => new BackgroundPublisher(client, option));
const flush = withClient((client, option) => new BackgroundPublisher(client).flush(option));
const closeBackground = withClient((client, option) => new BackgroundPublisher(client).close(option));

const OPTIONS: readonly [of: string, call: Call, option: string, wrong: readonly unknown[]][] = [
  ['a client', make, 'timeoutMs', NO_TIMES],
  ['a client', make, 'giveUpAfter', NO_TIMES],
  ['a client', make, 'maxPendingPublishes', NO_COUNTS],
  ['a client', make, 'onGap', NO_GAP_CHOICES],
  ['a client', make, 'onRetry', NO_FUNCTIONS],
  ['a client', make, 'contractHash', [5, {}]],
  ['a client', make, 'token', [undefined, null, 5, {}]],
  ['a client', make, 'retry', [null, 5, 'often']],
  ['connect', connect, 'timeoutMs', NO_TIMES],
  ['connect', connect, 'signal', NO_SIGNALS],
  ['setToken', setToken, 'timeoutMs', NO_TIMES],
  ['setToken', setToken, 'signal', NO_SIGNALS],
  ['close', close, 'timeoutMs', NO_TIMES],
  ['publish', publish, 'timeoutMs', NO_TIMES],
  ['publish', publish, 'signal', NO_SIGNALS],
  ['publish', publish, 'timestamp', [5, '2026-01-02', new Date(Number.NaN), null]],
  ['publish', publish, 'correlationId', NO_TEXTS],
  ['publish', publish, 'causationId', NO_TEXTS],
  ['publish', publish, 'userId', NO_TEXTS],
  ['publish', publish, 'traceparent', NO_TEXTS],
  ['publish', publish, 'idempotencyKey', NO_TEXTS],
  ['publishBatch', publishBatch, 'timeoutMs', NO_TIMES],
  ['publishBatch', publishBatch, 'signal', NO_SIGNALS],
  ['history', history, 'timeoutMs', NO_TIMES],
  ['history', history, 'signal', NO_SIGNALS],
  ['history', history, 'limit', NO_COUNTS],
  ['history', history, 'order', ['latest', 5, null]],
  ['history', history, 'after', NO_TEXTS],
  ['history', history, 'before', NO_TEXTS],
  ['history', history, 'types', NO_LISTS],
  ['trace', trace, 'timeoutMs', NO_TIMES],
  ['trace', trace, 'signal', NO_SIGNALS],
  ['trace', traceOf, 'id', NO_TEXTS],
  ['trace', traceOf, 'correlationId', NO_TEXTS],
  ['iterateHistory', iterate, 'timeoutMs', NO_TIMES],
  ['iterateHistory', iterate, 'signal', NO_SIGNALS],
  ['iterateHistory', iterate, 'pageSize', NO_COUNTS],
  ['iterateHistory', iterate, 'after', NO_TEXTS],
  ['iterateHistory', iterate, 'onGap', NO_GAP_CHOICES],
  ['iterateHistory', iterate, 'types', NO_LISTS],
  ['subscribe', subscribe, 'types', NO_LISTS],
  ['subscribe', subscribe, 'from', ['then', 5, null]],
  ['subscribe', subscribe, 'lastEventId', NO_TEXTS],
  ['subscribe', subscribe, 'onGap', NO_GAP_CHOICES],
  ['subscribe', subscribe, 'cursor', ['file', null, {}, { load: () => null }]],
  ['subscribe', subscribe, 'signal', NO_SIGNALS],
  ['subscribe', subscribe, 'maxBufferedEvents', NO_COUNTS],
  ['subscribe', subscribe, 'whenRefused', ['go', 5, null]],
  ['subscribe with a handler', handle, 'onError', NO_FUNCTIONS],
  ['subscribe with a handler', handle, 'signal', NO_SIGNALS],
  ['a background publisher', background, 'maxQueued', NO_COUNTS],
  ['a background publisher', background, 'maxQueuedBytes', NO_COUNTS],
  ['a background publisher', background, 'whenFull', ['drop', 5, null]],
  ['a background publisher', background, 'onError', NO_FUNCTIONS],
  ['flush', flush, 'timeoutMs', NO_TIMES],
  ['close of a background publisher', closeBackground, 'timeoutMs', NO_TIMES],
];

async function refusal(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error('it was not refused');
}

const named = (option: string) => ({
  code: 'INVALID_ARGUMENT',
  message: expect.stringMatching(new RegExp(`^${option}: `)),
  retryable: false,
});

test.each(OPTIONS)('%s refuses a wrong %3$s', { timeout: 20_000 }, async (_of, call, option, wrong) => {
  for (const value of wrong)
    expect(await refusal(() => call({ [option]: value })), `${option}: ${String(value)}`).toMatchObject(named(option));
});

test.each(['minDelayMs', 'maxDelayMs', 'busyDelayMs'])('a client refuses a wrong retry.%s', async (option) => {
  for (const value of [...NO_TIMES, Number.POSITIVE_INFINITY]) {
    expect(await refusal(() => make({ retry: { [option]: value } }))).toMatchObject(named(option));
  }
});

const MISSPELT: readonly [of: string, call: Call, option: string, meant: string][] = [
  ['a client', make, 'timeout', 'timeoutMs'],
  ['a client', make, 'onGapp', 'onGap'],
  ['a client', make, 'tokens', 'token'],
  ['connect', connect, 'timeoutms', 'timeoutMs'],
  ['setToken', setToken, 'Signal', 'signal'],
  ['close', close, 'timeout', 'timeoutMs'],
  ['publish', publish, 'idempotency_key', 'idempotencyKey'],
  ['publish', publish, 'correlation_id', 'correlationId'],
  ['publish', publish, 'causation_id', 'causationId'],
  ['history', history, 'pageLimit', 'limit'],
  ['trace', trace, 'Signal', 'signal'],
  ['trace', traceOf, 'correlation_id', 'correlationId'],
  ['iterateHistory', iterate, 'pagesize', 'pageSize'],
  ['subscribe', subscribe, 'onGapp', 'onGap'],
  ['subscribe', subscribe, 'last_event_id', 'lastEventId'],
  ['subscribe with a handler', handle, 'onErr', 'onError'],
  ['a background publisher', background, 'maxQueue', 'maxQueued'],
  ['flush', flush, 'timeout', 'timeoutMs'],
  ['close of a background publisher', closeBackground, 'timeout', 'timeoutMs'],
  ['a cursor in a file', (option) => fileCursor('position', option as never), 'syncEvery', 'syncEveryMs'],
  ['retry', (retry) => make({ retry }), 'minDelay', 'minDelayMs'],
];

test.each(MISSPELT)('%s refuses %3$s, which is no option, and names %4$s', async (_of, call, option, meant) => {
  expect(await refusal(() => call({ [option]: 5 }))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: `${option}: there is no such option; the nearest is ${meant}`,
  });
  // What is undefined is absent.
  await refusal(() => call({ [option]: undefined, [meant]: {} })).then((error) => expect(error).toMatchObject(named(meant)));
});

const UNLIKE: readonly [of: string, call: Call, option: string, options: RegExp][] = [
  ['a client', make, 'reconnect', /^url, token, retry, .*onRetry$/],
  ['publishBatch', publishBatch, 'idempotencyKey', /^signal, timeoutMs$/],
  ['flush', flush, 'signal', /^timeoutMs$/],
];

test.each(UNLIKE)('%s refuses %3$s, which is like no option, and lists those that there are', async (_of, call, option, options) => {
  const message = expect.stringMatching(new RegExp(`^${option}: there is no such option; the options are ${options.source.slice(1)}`));
  expect(await refusal(() => call({ [option]: 5 }))).toMatchObject({ code: 'INVALID_ARGUMENT', message });
});

test('what is no object is no options', async () => {
  for (const call of [
    connect,
    setToken,
    close,
    publish,
    publishBatch,
    history,
    trace,
    traceOf,
    iterate,
    subscribe,
    handle,
    background,
    flush,
  ]) {
    for (const options of [5, null, 'text']) expect(await refusal(() => call(options as never))).toMatchObject(named('options'));
  }
});

test('what is asked for must be named', async () => {
  await using client = new CourierClient({ url: ADDRESS, token: 't' });
  for (const channels of [undefined, null, 5, [5]] as never[]) {
    expect(await refusal(() => client.subscribe(channels))).toMatchObject(named('channels'));
    expect(await refusal(() => client.history(channels))).toMatchObject(named('channels'));
    expect(await refusal(() => client.iterateHistory(channels))).toMatchObject(named('channels'));
  }
  expect(await refusal(() => client.subscribe('global', undefined as never, { from: 'earliest' }))).toMatchObject(named('handler'));
  expect(await refusal(() => client.setToken(undefined as never))).toMatchObject(named('token'));
  expect(await refusal(() => client.publishBatch('events' as never))).toMatchObject(named('drafts'));
  expect(await refusal(() => client.publishBatch([undefined] as never))).toMatchObject(named('drafts'));
  expect(await refusal(() => new BackgroundPublisher({} as never))).toMatchObject(named('client'));
  expect(await refusal(() => new CourierClient(undefined as never))).toMatchObject(named('options'));
});

test.each(['http://user:secret@host', 'http://user:secret@ho st', 'http://host?token=secret', 'http://user:secret@host:port'])(
  'a secret in the address %j is not told',
  async (url) => {
    const error = await refusal(() => make({ url }));
    expect(error).toMatchObject(named('url'));
    expect(inspect(error)).not.toContain('secret');
  },
);

test.each([
  undefined,
  null,
  5,
  '',
  'localhost:8766',
  'ftp://host',
  'not an address',
  'http://',
  'http://ho st',
  'http://user@host',
  'http://user:secret@host',
  'http://host?token=t',
  'http://host/#there',
  ' http://host',
])('the address %j is refused', async (url) => {
  expect(await refusal(() => make({ url }))).toMatchObject(named('url'));
});

describe('Infinity is no limit', () => {
  test('for calls', async () => {
    await using gateway = await gatewayThat(() => undefined);
    const limit = { timeoutMs: Number.POSITIVE_INFINITY };
    await using client = new CourierClient({ url: gateway.url, token: 't', ...limit, giveUpAfter: Number.POSITIVE_INFINITY });
    await client.connect(limit);
    await client.publish('backtest.b1', 'backtest.progress', progressOf(), limit);
    await client.publishBatch([{ channel: 'backtest.b1', type: 'backtest.progress', data: progressOf() }]);
    const publisher = new BackgroundPublisher(client);
    publisher.submit({ channel: 'backtest.b1', type: 'backtest.progress', data: progressOf() });
    expect(await publisher.flush(limit)).toBe(true);
    await publisher.close(limit);
    await client.close(limit);
    expect(gateway.calls).toHaveLength(3);
  });

  test('nor is what a timer cannot wait', async () => {
    await using gateway = await gatewayThat(() => undefined);
    await using client = new CourierClient({ url: gateway.url, token: 't', timeoutMs: 2 ** 40 });
    await client.connect({ timeoutMs: 2 ** 31 });
    expect(await client.publish('backtest.b1', 'backtest.progress', progressOf())).toMatchObject({ id: 'e1-1' });
  });
});
