/**
 * The TypeScript client and a gateway that refuses its token: whether the calls are answered before the connection is closed,
 * or not at all, the client does the same. The gateway here is scripted, as it is only in one order that a real one does it.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { CONTRACT_HASH, CourierClient, type CourierError } from '../../client/src/index.ts';
import type { TokenSource } from '../../client/src/token.ts';
import { progressOf } from '../helpers/samples.ts';
import { errorShape, itemText, resultText } from '../vectors/trpc-messages.ts';

const REASON = 'the token has expired';
const ORDERS = ['answers and closes', 'closes'] as const;
type Order = (typeof ORDERS)[number] | 'answers and stays';

interface Call {
  readonly id: number;
  readonly method: string;
  readonly params: { readonly path: string; readonly input?: { readonly json: Record<string, unknown> } };
}

/** A gateway that takes the tokens that are `valid` now, and has one event. */
async function gatewayThat(order: Order, valid: Set<string>) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const seen: string[] = [];
  const keys = new Set<unknown>();
  const refuse = (ws: WebSocket, calls: readonly Call[]) => {
    if (order !== 'closes') {
      for (const { id, params } of calls)
        ws.send(JSON.stringify({ id, error: errorShape({ code: 'UNAUTHORIZED', message: REASON }, id, params.path) }));
      // The PONG says that the client has read the answers.
      ws.send('PING');
    } else ws.close(1008, REASON);
  };
  const answer = (ws: WebSocket, { id, params: { path, input } }: Call) => {
    if (path === 'auth.whoami') ws.send(resultText(id, IDENTITY));
    else if (path === 'events.history') ws.send(resultText(id, { events: [], next: 'e1-1', has_more: false, gap: null }));
    else if (path === 'events.subscribe') for (const text of subscriptionTexts(id)) ws.send(text);
    else if (path === 'events.publish') {
      keys.add(input?.json['idempotency_key']);
      ws.send(resultText(id, { ...EVENT, timestamp: new Date(), duplicate: false }));
    }
  };
  server.on('connection', (ws) => {
    let token: string | undefined;
    ws.on('message', (data) => {
      const text = String(data);
      if (text === 'PONG') {
        if (order === 'answers and closes') ws.close(1008, REASON);
        return;
      }
      const message = JSON.parse(text);
      if (token === undefined) {
        token = String(message.data.token);
        return;
      }
      const calls = ([message].flat() as Call[]).filter(({ method }) => method !== 'subscription.stop');
      for (const { params } of calls) seen.push(`${params.path} with ${token}`);
      if (valid.has(token)) for (const call of calls) answer(ws, call);
      else refuse(ws, calls);
    });
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Which calls came with which token. */
    seen,
    /** Of the publishes that were stored. */
    keys,
    [Symbol.asyncDispose]: async () => {
      for (const ws of server.clients) ws.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}

const IDENTITY = { sub: 'ada', role: 'admin', expires_at: new Date(), expires_in_ms: 3_600_000, contract: CONTRACT_HASH };
const EVENT = { id: 'e1-1', channel: 'backtest.b1', type: 'backtest.progress' };
const DATA = progressOf();

function subscriptionTexts(id: number): string[] {
  const metadata = { timestamp: '2026-01-02T03:04:05.678Z', source: 'cartographe' };
  const live = { id: 'e1-0', channel: 'courier', type: 'courier.live', metadata, data: { position: 'e1-0', replayed: 0 } };
  const started = JSON.stringify({ id, result: { type: 'started' } });
  return [started, itemText(id, JSON.stringify(live)), itemText(id, JSON.stringify({ ...EVENT, metadata, data: DATA }))];
}

const clientOf = (url: string, token: TokenSource) =>
  new CourierClient({ url, token, onGap: 'fail', retry: { minDelayMs: 5, maxDelayMs: 50, busyDelayMs: 5 } });
/** A token function that gives these, and the last from then on. */
const inTurn =
  (...tokens: readonly string[]) =>
  () =>
    tokens.length > 1 ? ((tokens as string[]).shift() as string) : (tokens[0] as string);
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error as CourierError,
  );
/** Everything that a client can be asked for, from before it has a connection. */
function useAll(client: CourierClient) {
  return {
    published: client.publish('backtest.b1', 'backtest.progress', DATA, { idempotencyKey: 'once' }),
    read: client.history('backtest.b1'),
    received: client.subscribe('backtest.b1').next(),
    connected: client.connect(),
  };
}

describe.each(ORDERS)('a gateway that %s', (order) => {
  /** What a publish is told: without an answer, it may have been stored. */
  const refusedPublish = {
    code: 'UNAUTHORIZED',
    message: expect.stringContaining(REASON),
    mayBeStored: order === 'closes',
    hint: order === 'closes' ? expect.stringContaining('same idempotency key') : expect.not.stringContaining('idempotency'),
  };

  test('is asked again with another token, for everything', async () => {
    await using gateway = await gatewayThat(order, new Set(['good']));
    await using client = clientOf(gateway.url, inTurn('expired', 'good'));
    const { published, read, received, connected } = useAll(client);
    await connected;
    expect(await published).toMatchObject({ id: 'e1-1', duplicate: false });
    expect(await read).toMatchObject({ next: 'e1-1' });
    expect(await received).toMatchObject({ done: false, value: { id: 'e1-1' } });
    expect([...gateway.keys]).toEqual(['once']);
    expect(gateway.seen.filter((call) => call.endsWith('expired')).length).toBeGreaterThan(0);
  });

  test('ends a client whose token is the only one, with UNAUTHORIZED', async () => {
    await using gateway = await gatewayThat(order, new Set(['good']));
    await using client = clientOf(gateway.url, 'expired');
    const waiting = client.subscribe('backtest.b1', () => undefined, { whenRefused: 'wait' });
    const { published, read, received, connected } = useAll(client);
    const refused = { code: 'UNAUTHORIZED', closeCode: 1008, message: REASON, retryable: false };
    const failures = await Promise.all([published, read, received, connected].map(failure));
    expect(failures).toMatchObject([refusedPublish, refused, refused, refused]);
    expect(client.connection.get()).toMatchObject({ status: 'refused', error: refused });
    await client.setToken('good');
    await waiting.live;
  });

  test('has expired a token meanwhile: what is called then is called again with another', async () => {
    const valid = new Set(['first', 'second']);
    await using gateway = await gatewayThat(order, valid);
    await using client = clientOf(gateway.url, inTurn('first', 'second'));
    const events = client.subscribe('backtest.b1');
    await events.next();
    valid.delete('first');
    expect(await client.publish('backtest.b1', 'backtest.progress', DATA)).toMatchObject({ id: 'e1-1' });
    expect(await client.history('backtest.b1')).toMatchObject({ next: 'e1-1' });
    expect(gateway.seen).toContain('events.publish with first');
    expect(gateway.seen).toContain('events.publish with second');
    expect(gateway.seen.filter((call) => call === 'events.subscribe with second')).toHaveLength(1);
  });

  test('has expired the only token meanwhile: what is called then fails with UNAUTHORIZED', async () => {
    const valid = new Set(['only']);
    await using gateway = await gatewayThat(order, valid);
    await using client = clientOf(gateway.url, 'only');
    await client.connect();
    valid.delete('only');
    expect(await failure(client.publish('backtest.b1', 'backtest.progress', DATA))).toMatchObject(refusedPublish);
    expect(client.connection.get().status).toBe('refused');
  });

  test('is asked again for a subscription of the tRPC client', async () => {
    await using gateway = await gatewayThat(order, new Set(['good']));
    await using client = clientOf(gateway.url, inTurn('expired', 'good'));
    const received = Promise.withResolvers<string>();
    const subscription = client.trpc.events.subscribe.subscribe(
      { channels: ['backtest.b1'] },
      { onData: ({ id }) => received.resolve(id), onError: received.reject },
    );
    expect(await received.promise).toBe('e1-0');
    subscription.unsubscribe();
  });

  test('ends the subscriptions of the tRPC client of a client whose token is the only one', async () => {
    await using gateway = await gatewayThat(order, new Set(['good']));
    await using client = clientOf(gateway.url, 'expired');
    const ended = () =>
      new Promise<unknown>((resolve) => {
        client.trpc.events.subscribe.subscribe({ channels: ['backtest.b1'] }, { onError: resolve });
      });
    const refused = { cause: { code: 'UNAUTHORIZED', message: REASON } };
    expect(await ended()).toMatchObject(refused);
    // It is refused already.
    expect(await ended()).toMatchObject(refused);
  });
});

describe('a gateway that answers UNAUTHORIZED and leaves the connection open', () => {
  test('is left, and asked again with another token', async () => {
    await using gateway = await gatewayThat('answers and stays', new Set(['good']));
    await using client = clientOf(gateway.url, inTurn('expired', 'good'));
    const { published, read, received, connected } = useAll(client);
    await connected;
    expect(await published).toMatchObject({ id: 'e1-1' });
    expect(await read).toMatchObject({ next: 'e1-1' });
    expect(await received).toMatchObject({ value: { id: 'e1-1' } });
  });

  test('is not left where it has accepted the client: the call is made again', async () => {
    const valid = new Set(['only']);
    await using gateway = await gatewayThat('answers and stays', valid);
    await using client = clientOf(gateway.url, 'only');
    await client.connect();
    valid.delete('only');
    const published = client.publish('backtest.b1', 'backtest.progress', DATA);
    await expect.poll(() => gateway.seen).toContain('events.publish with only');
    valid.add('only');
    expect(await published).toMatchObject({ id: 'e1-1' });
    expect(client.connection.get().status).toBe('connected');
    expect(gateway.seen.filter((call) => call.startsWith('auth.whoami'))).toHaveLength(1);
  });

  test('is left by a client that has no other token', async () => {
    await using gateway = await gatewayThat('answers and stays', new Set());
    await using client = clientOf(gateway.url, 'expired');
    expect(await failure(client.connect())).toMatchObject({ code: 'UNAUTHORIZED', message: REASON });
  });
});
