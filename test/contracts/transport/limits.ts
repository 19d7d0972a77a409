/** How many may be connected at once, and that those who go make room. */
import { describe, expect, test } from 'vitest';
import { startGateway } from '../../helpers/gateway.ts';
import type { TransportDriver } from '../../helpers/transports.ts';

const limited = (limits: object) => startGateway({ COURIER_LIMITS: JSON.stringify(limits) });

export function describeLimits({ subscribe, isWebSocket }: TransportDriver): void {
  describe('limits', () => {
    test('a principal has so many places, by role and sub, and one that goes makes room', async () => {
      await using gateway = await limited({ user: { connections: 1 }, service: { connections: 1 } });
      const ask = { token: await gateway.token('ada'), channels: 'global' };
      await using first = subscribe(gateway.port, ask);
      await first.live();
      for (const [sub, role] of [
        ['eve', 'user'],
        ['ada', 'service'],
      ] as const) {
        await using another = subscribe(gateway.port, { token: await gateway.token(sub, role), channels: 'global' });
        await another.live();
      }
      await using second = subscribe(gateway.port, ask);
      if (isWebSocket) {
        expect(await second.ended()).toMatchObject({ reason: '"ada" has 1 connections, and may have 1' });
        await first[Symbol.asyncDispose]();
        await expect.poll(() => gateway.census.places).toBe(0);
      } else {
        // Nobody can tell whether a stream is read: the newer one has the place.
        await second.live();
        expect(await first.ended()).toEqual({ code: 1013, reason: 'the place was needed for a newer connection of the same user' });
        await second[Symbol.asyncDispose]();
        await expect.poll(() => gateway.census.places).toBe(0);
      }
      await using third = subscribe(gateway.port, ask);
      await third.live();
    });

    test('everyone together has so many', async () => {
      await using gateway = await limited({ gateway: { connections: 1 } });
      await using first = subscribe(gateway.port, { token: await gateway.token('ada'), channels: 'global' });
      await first.live();
      await using second = subscribe(gateway.port, { token: await gateway.token('eve'), channels: 'global' });
      expect(await second.ended()).toEqual({ code: 1013, reason: 'the gateway is full' });
      expect(second.events).toEqual([]);
    });

    test('a client that does not heed refusals loses its open connections, over whichever transport it called', async () => {
      await using gateway = await limited({ user: { queriesPerSecond: 1 } });
      const token = await gateway.token('ada');
      await using peer = subscribe(gateway.port, { token, channels: 'global' });
      await using other = subscribe(gateway.port, { token: await gateway.token('eve'), channels: 'global' });
      await Promise.all([peer.live(), other.live()]);
      const calls = Array(100).fill('auth.whoami').join();
      const ask = () => fetch(`${gateway.url}/trpc/${calls}?batch=1`, { headers: { authorization: `Bearer ${token}` } });
      while (gateway.census.places > 1) await (await ask()).arrayBuffer();
      expect(await peer.ended()).toEqual({ code: 4429, reason: 'limits exceeded for too long' });
      expect(other.goodbye).toBeUndefined();
    });
  });
}
