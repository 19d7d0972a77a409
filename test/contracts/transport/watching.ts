/** A watch of the state: the same items over whatever carries it, with the rights and limits of a subscription. */
import { describe, expect, test } from 'vitest';
import { signToken } from '../../../src/auth/tokens.ts';
import { temporaryFolder } from '../../helpers/folder.ts';
import { startGateway, type TestGateway, TOKENS } from '../../helpers/gateway.ts';
import type { Peer } from '../../helpers/peer.ts';
import type { Ask, TransportDriver, WatchAsk } from '../../helpers/transports.ts';
import { figuresOf } from './stall.ts';

const CHANNEL = 'strategy.s1';
const ORDERS: WatchAsk = { entities: ['order'] };

const placed = (order_id: string, symbol = 'SPX') =>
  ({
    type: 'order.placed',
    channel: CHANNEL,
    data: { order_id, symbol, side: 'buy', order_type: 'market', quantity: '1' },
  }) as const;
const cancelled = (order_id: string) => ({ type: 'order.cancelled', channel: CHANNEL, data: { order_id, reason: 'expired' } }) as const;

async function publish(gateway: TestGateway, ...drafts: readonly (ReturnType<typeof placed> | ReturnType<typeof cancelled>)[]) {
  const { events } = gateway.httpClient(await gateway.token('chevalier', 'service'));
  return (await events.publishBatch.mutate([...drafts])).map(({ id }) => id);
}

interface HeardItem {
  readonly id: string;
  readonly key: string;
  readonly open: boolean;
  readonly state: Readonly<Record<string, unknown>> | null;
}

const itemsOf = ({ events }: Peer) =>
  (events as unknown as (HeardItem & { readonly type?: string })[]).filter(({ type }) => type === undefined);
const noticesOf = ({ events }: Peer) => events.filter(({ type }) => type?.startsWith('state.'));
const ready = (peer: Peer) => peer.until(({ events }) => events.some(({ type }) => type === 'state.ready'));
const told = (peer: Peer) => itemsOf(peer).map(({ key, state }) => `${key} ${state === null ? 'is gone' : state['status']}`);
const positionOf = (peer: Peer) => String(noticesOf(peer).findLast(({ type }) => type === 'state.ready')?.data['position']);

/** How a call was refused: over a connection for several it goes on. */
async function refusalOf(peer: Peer): Promise<string> {
  const text = () => [...peer.texts, peer.body, JSON.stringify(peer.goodbye ?? '')].join('\n');
  await peer.until(() => /"error"|BAD_REQUEST|FORBIDDEN/.test(text()) || peer.goodbye !== undefined);
  expect(peer.events).toEqual([]);
  return text();
}

export function describeWatching(driver: TransportDriver): void {
  const { subscribe, transport, name } = driver;

  describe('a watch of the state', () => {
    test('is given what is, and then what changes; what is not selected any more is gone', async () => {
      await using gateway = await startGateway();
      const token = await gateway.token('reader', 'service');
      const ids = await publish(gateway, placed('o1'), placed('o2'), placed('o3', 'NDX'), cancelled('o2'));
      const where = { 'state.symbol': 'SPX' };
      const ask = { token, channels: CHANNEL };
      await using all = subscribe(gateway.port, { ...ask, state: ORDERS });
      await using open = subscribe(gateway.port, { ...ask, state: { ...ORDERS, open: true, where } });
      await using paced = subscribe(gateway.port, { ...ask, state: { ...ORDERS, keys: ['o1', 'o4'], max_per_second: 100 } });
      await Promise.all([all, open, paced].map(ready));
      expect([all, open, paced].map(told)).toEqual([['o1 open', 'o3 open', 'o2 cancelled'], ['o1 open'], ['o1 open']]);
      expect([all, open, paced].map(positionOf)).toEqual(Array(3).fill(ids.at(-1)));
      const later = await publish(gateway, cancelled('o1'), placed('o4'));
      await Promise.all([all, open, paced].map((peer) => peer.until(() => told(peer).at(-1) === 'o4 open')));
      expect([all, open, paced].map((peer) => told(peer).slice(-2))).toEqual([
        ['o1 cancelled', 'o4 open'],
        ['o1 is gone', 'o4 open'],
        ['o1 cancelled', 'o4 open'],
      ]);
      expect(itemsOf(all).map(({ id }) => id)).toEqual([ids[0], ids[2], ids[3], ...later]);
      expect([all, open, paced].map((peer) => noticesOf(peer).length)).toEqual([1, 1, 1]);
    });

    test('goes on behind what its client has, in another gateway too', async () => {
      using folder = temporaryFolder();
      const env = { COURIER_LOG: `sqlite:${folder.path}/log.db` };
      let lastEventId: string;
      {
        await using gateway = await startGateway(env);
        await publish(gateway, placed('o1'), placed('o2'));
        await using peer = subscribe(gateway.port, { token: await gateway.token('reader', 'service'), channels: CHANNEL, state: ORDERS });
        await ready(peer);
        lastEventId = positionOf(peer);
        await publish(gateway, cancelled('o2'));
        await peer.until(() => told(peer).at(-1) === 'o2 cancelled');
        await gateway[Symbol.asyncDispose]();
        const { code, reason } = (await peer.ended()) ?? {};
        expect({ code, reason }).toEqual({ code: name.startsWith('tRPC over server') ? 1013 : 1001, reason: 'shutting down' });
      }
      await using gateway = await startGateway(env);
      const [id] = await publish(gateway, placed('o3'));
      const ask = { token: await gateway.token('reader', 'service'), channels: CHANNEL, state: ORDERS, lastEventId };
      await using again = subscribe(gateway.port, ask);
      await ready(again);
      expect([told(again), positionOf(again)]).toEqual([['o2 cancelled', 'o3 open'], id]);
      // An EventSource says it in a header.
      if (name !== 'plain server-sent events') return;
      const { lastEventId: _, ...rest } = ask;
      await using browser = subscribe(gateway.port, { ...rest, headers: { 'last-event-id': lastEventId } });
      await ready(browser);
      expect(told(browser)).toEqual(['o2 cancelled', 'o3 open']);
    });

    test.each([
      ['epoch', () => 'other-3'],
      ['ahead', (gateway: TestGateway) => gateway.pipeline.log.positions.at(99)],
    ] as const)('begins anew from a position that says nothing of the state (%s)', async (reason, positionIn) => {
      await using gateway = await startGateway();
      await publish(gateway, placed('o1'), placed('o2'));
      const lastEventId = positionIn(gateway);
      const token = await gateway.token('reader', 'service');
      await using peer = subscribe(gateway.port, { token, channels: CHANNEL, state: ORDERS, lastEventId });
      await ready(peer);
      expect(noticesOf(peer).map(({ type }) => type)).toEqual(['state.reset', 'state.ready']);
      expect(noticesOf(peer)[0]?.data).toEqual({ reason, requested: lastEventId });
      expect(told(peer)).toEqual(['o1 open', 'o2 open']);
    });

    const isPlain = name.startsWith('plain');
    // An address has a condition by the name of its field.
    const where = isPlain ? '' : 'where.';
    const MANY = Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`state.f${index}`, 'x']));
    const BAD: readonly (readonly [string, Partial<Ask>, string])[] = [
      ['an entity that there is not', { state: { entities: ['order', 'nobody'] } }, isPlain ? 'state' : 'entities.1'],
      ['an empty key', { state: { ...ORDERS, keys: ['o1', ''] } }, isPlain ? 'key.1' : 'keys.1'],
      ['too many keys', { state: { ...ORDERS, keys: Array(101).fill('k') } }, isPlain ? 'key' : 'keys'],
      ['a field that there is not', { state: { ...ORDERS, where: { 'state.foo': 'x' } } }, `${where}state.foo`],
      ['what every object has', { state: { ...ORDERS, where: { 'state.constructor': 'x' } } }, `${where}state.constructor`],
      [
        'a field of one entity only',
        { state: { entities: ['order', 'position'], where: { 'state.order_id': 'x' } } },
        `${where}state.order_id`,
      ],
      ['a value that a field cannot have', { state: { ...ORDERS, where: { 'state.status': 'nope' } } }, `${where}state.status`],
      [
        'one such value of several',
        { state: { ...ORDERS, where: { 'state.status': ['open', 'nope'] } } },
        isPlain ? 'state.status' : 'where.state.status.1',
      ],
      ['too many values', { state: { ...ORDERS, where: { 'state.symbol': Array(101).fill('SPX') } } }, `${where}state.symbol`],
      ['a text that is too long', { state: { ...ORDERS, where: { 'state.reason': 'x'.repeat(1001) } } }, `${where}state.reason`],
      ['too many fields', { state: { ...ORDERS, where: MANY } }, isPlain ? 'state.*' : 'where'],
      ...(isPlain
        ? []
        : [
            [
              'a field that a record passes over',
              { state: { ...ORDERS, where: JSON.parse('{"__proto__":"x"}') } },
              'where.__proto__',
            ] as const,
          ]),
      ['a pace of its own', { state: { ...ORDERS, max_per_second: 1000 } }, 'max_per_second'],
      ['no position', { state: ORDERS, lastEventId: 'garbage' }, isPlain ? 'last_event_id' : 'lastEventId'],
      ['types', { state: ORDERS, types: 'order.placed' }, 'types'],
    ];
    test.each(BAD)('that asks for %s is refused, with where that stands', async (_what, asked, path) => {
      await using gateway = await startGateway();
      await publish(gateway, placed('o1'));
      await using peer = subscribe(gateway.port, { token: await gateway.token('reader', 'service'), channels: CHANNEL, ...asked });
      const refusal = await refusalOf(peer);
      // A close frame has a sentence only.
      if (name === 'plain WebSocket') expect(refusal).toContain(`{"code":4400,"reason":"${path}: `);
      else expect(refusal).toContain(`"issues":[{"path":"${path}"`);
    });

    test('is refused where its caller may not read the channel, before anything is given', async () => {
      await using gateway = await startGateway();
      await publish(gateway, placed('o1'));
      const ask = { token: await gateway.token('ada'), state: ORDERS };
      for (const channels of [CHANNEL, `global,${CHANNEL}`, '**']) {
        await using peer = subscribe(gateway.port, { ...ask, channels });
        expect(await refusalOf(peer)).toMatch(/FORBIDDEN|"code":1008/);
      }
      await using own = subscribe(gateway.port, { ...ask, channels: 'global' });
      await ready(own);
      expect(told(own)).toEqual([]);
    });

    test('ends with the rights that it stands on', async () => {
      await using gateway = await startGateway();
      const expiring = await signToken(TOKENS, { sub: 'eve', role: 'service', expiresInSeconds: 1 });
      const ask = { channels: CHANNEL, state: { ...ORDERS, max_per_second: 0.1 } };
      await using revoked = subscribe(gateway.port, { ...ask, token: await gateway.token('reader', 'service') });
      await using expired = subscribe(gateway.port, { ...ask, token: expiring });
      await Promise.all([revoked, expired].map(ready));
      await gateway.httpClient(await gateway.token('root', 'admin')).admin.revoke.mutate({ sub: 'reader' });
      expect(await revoked.ended()).toEqual({ code: 1008, reason: 'the token was revoked' });
      await publish(gateway, placed('o1'));
      expect(await expired.ended()).toEqual({ code: 1008, reason: 'the token has expired' });
      expect(told(revoked)).toEqual([]);
    });

    test('counts as a subscription', async () => {
      await using gateway = await startGateway({ COURIER_LIMITS: JSON.stringify({ user: { subscribePerSecond: 1 } }) });
      const token = await gateway.token('ada', 'user', { subscribe: [CHANNEL] });
      await using peers = new AsyncDisposableStack();
      const begin = () => peers.use(subscribe(gateway.port, { token, channels: CHANNEL, state: ORDERS }));
      await ready(begin());
      expect(gateway.census.subscriptions).toBe(1);
      let refused: Peer | undefined;
      for (let begun = 0; begun < 50 && refused === undefined; begun += 1) {
        const peer = begin();
        await peer.until(
          ({ events, texts, isGone }) => events.length > 0 || isGone || texts.some((text) => text.includes('TOO_MANY_REQUESTS')),
        );
        if (peer.events.length === 0) refused = peer;
      }
      expect([...(refused?.texts ?? []), refused?.body, JSON.stringify(refused?.goodbye)].join('')).toMatch(/TOO_MANY_REQUESTS|4429|1013/);
    });

    test('is listed with what it lags behind, and is no recipient of events', async () => {
      await using gateway = await startGateway();
      const { admin } = gateway.httpClient(await gateway.token('root', 'admin'));
      await using peer = subscribe(gateway.port, { token: await gateway.token('reader', 'service'), channels: CHANNEL, state: ORDERS });
      await ready(peer);
      const [id = ''] = await publish(gateway, placed('o1'));
      await peer.until(() => told(peer).length === 1);
      expect(await figuresOf(gateway, 'reader')).toMatchObject({ transport, subscriptions: 1, channels: [CHANNEL], lag: 0 });
      expect(await admin.recipients.query({ id, channel: CHANNEL, type: 'order.placed' })).toEqual({ total: 0, recipients: [] });
      const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
      expect(metrics).toContain('\ncourier_state_watches 1\n');
    });
  });
}
