/** The places of one principal, over all transports and instances together. */
import { describe, expect, test } from 'vitest';
import { startCluster } from '../helpers/cluster.ts';
import { startGateway } from '../helpers/gateway.ts';
import { plainSse, plainWebSocket, TRANSPORTS, trpcSse, trpcWebSocket } from '../helpers/transports.ts';

const NEEDED = { code: 1013, reason: 'the place was needed for a newer connection of the same user' };
const limits = (connections: number) => ({ COURIER_LIMITS: JSON.stringify({ user: { connections } }) });

describe('places', () => {
  test('count over all transports together', async () => {
    await using gateway = await startGateway(limits(2));
    const ask = { token: await gateway.token('ada'), channels: 'global' };
    await using first = trpcWebSocket.subscribe(gateway.port, ask);
    await using second = plainWebSocket.subscribe(gateway.port, ask);
    await Promise.all([first.live(), second.live()]);
    for (const driver of TRANSPORTS) {
      await using third = driver.subscribe(gateway.port, ask);
      expect(await third.ended()).toMatchObject({ reason: '"ada" has 2 connections, and may have 2' });
      // Only over tRPC the token comes behind the handshake.
      expect(third.status).toBe(driver === trpcWebSocket ? 101 : 429);
    }
    expect(gateway.census.places).toBe(2);
  });

  test.each(TRANSPORTS)('the oldest stream of server-sent events gives its own to a newcomer over $name', async ({ subscribe }) => {
    await using gateway = await startGateway(limits(3));
    const ask = { token: await gateway.token('ada'), channels: 'global' };
    await using socket = plainWebSocket.subscribe(gateway.port, ask);
    await socket.live();
    await using oldest = plainSse.subscribe(gateway.port, ask);
    await oldest.live();
    await using newer = trpcSse.subscribe(gateway.port, ask);
    await newer.live();
    await using newest = subscribe(gateway.port, ask);
    await newest.live();
    expect(await oldest.ended()).toEqual(NEEDED);
    expect(oldest.retryMs).toBe(30_000);
    expect([socket.goodbye, newer.goodbye]).toEqual([undefined, undefined]);
    expect(gateway.census.places).toBe(3);
  });

  test('a stream on another instance gives its own too', async () => {
    await using cluster = await startCluster(limits(1));
    const [one, other] = cluster.gateways;
    const ask = { token: await one.token('ada'), channels: 'global' };
    await using stream = plainSse.subscribe(one.port, ask);
    await stream.live();
    await using socket = trpcWebSocket.subscribe(other.port, ask);
    await socket.live();
    expect(await stream.ended()).toEqual(NEEDED);
    await using refused = plainWebSocket.subscribe(one.port, ask);
    await refused.gone;
    expect(refused.status).toBe(429);
  });
});
