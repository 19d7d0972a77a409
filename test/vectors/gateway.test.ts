/** The scripted server speaks as the gateway does: the same conversation with both gives the same messages. */
import { describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import type { EventDraft } from '../helpers/lumiere.ts';
import { progressOf } from '../helpers/samples.ts';
import { type Json, overHttp, overPlainWebSocket, overTrpc, overUpgrade } from './conversations.ts';
import { startScriptedServer } from './server.ts';
import { allVectors, type Failure, receiptOf, type ScriptedConnection, type SubscribeVector, type WireEvent } from './vector.ts';

const CHANNEL = 'backtest.b1';
const DRAFT: EventDraft = { channel: CHANNEL, type: 'backtest.progress', data: progressOf() };
const why = 'to be compared with the gateway';
/** The vectors whose event no client sends. */
const REFUSED_BY_CLIENTS = allVectors().flatMap(({ ref, vector }) => {
  if (!('publish' in vector) || vector.answers.length > 0 || vector.gateway?.away || vector.publish.not_json) return [];
  return [{ ref, vector }];
});

/** What differs between any two conversations made the same: times and names of requests. */
function comparable(conversation: unknown): unknown {
  return JSON.parse(JSON.stringify(conversation), (key, value) => {
    if (key === 'requestId' || key === 'request_id') return 'some';
    return value?.type === 'courier.live' ? { ...value, metadata: { ...value.metadata, timestamp: 'some' } } : value;
  });
}

async function gatewayWithEvents(count: number): Promise<TestGateway & { admin: string; events: WireEvent[] }> {
  const gateway = await startGateway();
  const admin = await gateway.token('root', 'admin');
  for (let index = 0; index < count; index += 1) await overHttp(gateway.url, admin, '/publish', DRAFT);
  const { body } = await overHttp(gateway.url, admin, `/events/${CHANNEL}`);
  return { ...gateway, admin, events: body['events'] as WireEvent[] };
}

const subscribing = (connection: ScriptedConnection, from?: 'earliest'): SubscribeVector => ({
  name: 'test',
  why,
  subscribe: { channels: [CHANNEL], ...(from && { from }) },
  connections: [connection],
  result: { events: [], ends: null },
});

describe('says what the gateway says', () => {
  const input = { channels: [CHANNEL], from: 'earliest' };

  test('to a subscription', async () => {
    await using gateway = await gatewayWithEvents(2);
    await using server = await startScriptedServer();
    const { admin, events } = gateway;
    const send = [...events.map((event) => ({ event })), { live: events[1]?.id as string, replayed: 2 }];
    const play = () => server.play(subscribing({ send, end: 'stay' }, 'earliest')).url;
    const trpc = (url: string, token: string) => overTrpc(url, token, [{ method: 'subscription', path: 'events.subscribe', input }], 4);
    expect(comparable(await trpc(play(), 't1'))).toEqual(comparable(await trpc(gateway.url, admin)));
    const plain = (url: string, token: string) => overPlainWebSocket(url, token, `/ws/${CHANNEL}?from=earliest`, 3);
    expect(comparable(await plain(play(), 't1'))).toEqual(comparable(await plain(gateway.url, admin)));
  });

  test('to a gap', async () => {
    await using gateway = await gatewayWithEvents(1);
    await using server = await startScriptedServer();
    const { admin, events } = gateway;
    const id = events[0]?.id as string;
    const gap = { reason: 'epoch', requested: 'another-1', resumed_from: id };
    const run = server.play(subscribing({ expect: { last_event_id: 'another-1' }, send: [{ gap }, { live: id }], end: 'stay' }));
    const plain = (url: string, token: string) => overPlainWebSocket(url, token, `/ws/${CHANNEL}?last_event_id=another-1`, 2);
    const withoutTime = (text: string) => text.replace(/"timestamp":"[^"]*"/g, '');
    const [real, scripted] = [await plain(gateway.url, admin), await plain(run.url, 't1')].map((talk) => withoutTime(JSON.stringify(talk)));
    expect(scripted).toBe(real);
    expect(run.seen()).toMatchObject({ mismatches: [], complete: true });
  });

  test('to a publish', async () => {
    await using gateway = await gatewayWithEvents(0);
    await using server = await startScriptedServer();
    const draft = { ...DRAFT, idempotency_key: 'k1' };
    const trpc = (url: string, token: string) => overTrpc(url, token, [{ method: 'mutation', path: 'events.publish', input: draft }], 1);
    const plain = (url: string, token: string) => overHttp(url, token, '/publish', draft);
    const first = (await plain(gateway.url, gateway.admin)).body;
    const play = () =>
      server.play({
        name: 'test',
        why,
        publish: DRAFT as never,
        answers: [{ receipt: { ...receiptOf('e1-1'), ...first, duplicate: true } }],
        result: { receipt: 'e1-1' },
      }).url;
    expect(await plain(play(), 't1')).toEqual(await plain(gateway.url, gateway.admin));
    expect(await trpc(play(), 't1')).toEqual(await trpc(gateway.url, gateway.admin));
  });

  test('to a publish that is refused', async () => {
    await using gateway = await gatewayWithEvents(0);
    await using server = await startScriptedServer();
    const draft = { ...DRAFT, data: progressOf(2) } as EventDraft;
    const trpc = (url: string, token: string) => overTrpc(url, token, [{ method: 'mutation', path: 'events.publish', input: draft }], 1);
    const plain = (url: string, token: string) => overHttp(url, token, '/publish', draft);
    const real = await plain(gateway.url, gateway.admin);
    const error = { code: 'BAD_REQUEST', message: real.body['detail'] as string, issues: real.body['issues'] as [] };
    const play = () => server.play({ name: 'test', why, publish: draft as never, answers: [{ error }], result: { error } }).url;
    expect(comparable(await plain(play(), 't1'))).toEqual(comparable(real));
    expect(comparable(await trpc(play(), 't1'))).toEqual(comparable(await trpc(gateway.url, gateway.admin)));
  });

  test.each(REFUSED_BY_CLIENTS)('to a publish that clients refuse: $ref', async ({ vector: { publish, result } }) => {
    await using gateway = await gatewayWithEvents(0);
    const { body, status } = await overHttp(gateway.url, gateway.admin, '/publish', publish);
    const { code, message: detail, issues } = (result as { error: Failure }).error;
    expect({ status, body }).toMatchObject({ status: 400, body: { code, detail, issues } });
    const call = { method: 'mutation', path: 'events.publish', input: publish };
    const { messages } = await overTrpc(gateway.url, gateway.admin, [call], 1);
    expect(messages).toMatchObject([{ error: { json: { message: detail, data: { code, issues } } } }]);
  });

  test('to a read of history', async () => {
    await using gateway = await gatewayWithEvents(2);
    await using server = await startScriptedServer();
    const { admin, events } = gateway;
    const query = { channels: [CHANNEL], limit: 1 };
    const trpc = (url: string, token: string) => overTrpc(url, token, [{ method: 'query', path: 'events.history', input: query }], 1);
    const plain = (url: string, token: string) => overHttp(url, token, `/events/${CHANNEL}?limit=1`);
    const page = { events: events.slice(0, 1), next: events[0]?.id as string, has_more: true };
    const play = () => server.play({ name: 'test', why, history: query, answers: [{ page }], result: { events: [] } }).url;
    expect(await plain(play(), 't1')).toEqual(await plain(gateway.url, admin));
    expect(await trpc(play(), 't1')).toEqual(await trpc(gateway.url, admin));
  });

  test('to a connection that it refuses', async () => {
    await using gateway = await startGateway();
    await using server = await startScriptedServer();
    const plain = (url: string, token: string) => overPlainWebSocket(url, token, `/ws/${CHANNEL}`, 0);
    const real = await plain(gateway.url, 'wrong');
    const refuse = { code: 'UNAUTHORIZED', message: real.closed?.reason as string };
    const play = () => server.play(subscribing({ refuse })).url;
    expect(await plain(play(), 'wrong')).toEqual(real);
    const trpc = (url: string, token: string) => overTrpc(url, token, [], 1);
    expect(comparable(await trpc(play(), 'wrong'))).toEqual(comparable(await trpc(gateway.url, 'wrong')));
  });

  test('to a subscription that it refuses', async () => {
    await using gateway = await startGateway();
    await using server = await startScriptedServer();
    const user = await gateway.token('ada');
    const plain = (url: string, token: string) => overPlainWebSocket(url, token, `/ws/${CHANNEL}`, 0);
    const real = await plain(gateway.url, user);
    const error = { code: 'FORBIDDEN', message: real.closed?.reason.replace(/^forbidden: /, '') as string };
    const play = () => server.play(subscribing({ end: { error } })).url;
    expect(await plain(play(), 't1')).toEqual(real);
    const trpc = (url: string, token: string) =>
      overTrpc(url, token, [{ method: 'subscription', path: 'events.subscribe', input: { channels: [CHANNEL] } }], 1);
    expect(comparable(await trpc(play(), 't1'))).toEqual(comparable(await trpc(gateway.url, user)));
  });

  test('to an upgrade', async () => {
    await using gateway = await startGateway();
    await using server = await startScriptedServer();
    const { url } = server.play('messages.json#events-in-order');
    const plain = await overUpgrade(url, 't1', `/ws/${CHANNEL}`);
    expect(plain).toEqual(await overUpgrade(gateway.url, await gateway.token('root', 'admin'), `/ws/${CHANNEL}`));
    expect(plain.contract).toMatch(/^[0-9a-f]{16}$/);
  });

  test('to who asks who it is', async () => {
    await using gateway = await startGateway();
    await using server = await startScriptedServer();
    const trpc = (url: string, token: string) => overTrpc(url, token, [{ method: 'query', path: 'auth.whoami' }], 1);
    const fieldsOf = ({ messages: [message] }: { messages: unknown[] }) => {
      const { json, meta } = (message as { result: { data: { json: Json; meta: Json } } }).result.data;
      return {
        types: Object.entries(json)
          .map(([key, value]) => `${key}: ${typeof value}`)
          .sort(),
        meta,
      };
    };
    const run = server.play('publishes.json#stored');
    expect(fieldsOf(await trpc(run.url, 't1'))).toEqual(fieldsOf(await trpc(gateway.url, await gateway.token('root', 'admin'))));
  });
});
