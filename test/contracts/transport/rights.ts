/** That a connection ends with the rights that it stands on, whatever it does, and whether its client agrees or not. */
import { describe, expect, inject, test } from 'vitest';
import { signToken } from '../../../src/auth/tokens.ts';
import { startProxy } from '../../faults/proxy.ts';
import { sharedEnv } from '../../helpers/cluster.ts';
import { startGateway, type TestGateway, TOKENS } from '../../helpers/gateway.ts';
import type { Peer } from '../../helpers/peer.ts';
import type { TransportDriver } from '../../helpers/transports.ts';
import { publish } from './publishing.ts';
import { stall } from './stall.ts';

const GONE = { connections: { trpc: 0, plain: 0, sse: 0 }, unauthenticated: 0, places: 0, subscriptions: 0 };
/** How long somebody may take to go that does not do as it is told, in ms: the second of the goodbye, and a busy machine. */
const MAX_GOING_MS = 2000;
const REVOKED = { code: 1008, reason: 'the token was revoked' };

type Prepare = (driver: TransportDriver, gateway: TestGateway, token: string) => Promise<Peer>;

/** What a connection may be doing. */
const STATES: Record<string, Prepare> = {
  'open and quiet': async ({ subscribe }, gateway, token) => {
    const peer = subscribe(gateway.port, { token });
    await peer.live();
    return peer;
  },
  'catching up': async ({ subscribe }, gateway, token) => {
    await publish(gateway, 1500, 5000);
    const peer = subscribe(gateway.port, { token, from: 'earliest' });
    await peer.until(({ events }) => events.length > 0);
    peer.pause();
    return peer;
  },
  stalled: async ({ subscribe }, gateway, token) => {
    const peer = subscribe(gateway.port, { token });
    await peer.live();
    await stall(gateway, peer, 'reader');
    return peer;
  },
};

export function describeRights(driver: TransportDriver): void {
  const { subscribe } = driver;
  const adminOf = async (gateway: TestGateway) => gateway.httpClient(await gateway.token('root', 'admin')).admin;

  describe('when its rights end', () => {
    test.each(Object.entries(STATES))('a connection that is %s is gone within a second or so of the revocation', async (_name, prepare) => {
      await using gateway = await startGateway();
      const admin = await adminOf(gateway);
      await using peer = await prepare(driver, gateway, await gateway.token('reader', 'service'));
      await using other = subscribe(gateway.port, { token: await gateway.token('other', 'service') });
      await other.live();
      const began = performance.now();
      expect(await admin.revoke.mutate({ sub: 'reader' })).toEqual({ ended: 1 });
      const heard = peer.events.length;
      await expect.poll(() => Object.values(gateway.census.connections), { timeout: MAX_GOING_MS }).toEqual(onlyOne(driver));
      expect(performance.now() - began).toBeLessThan(MAX_GOING_MS);
      const [id] = await publish(gateway, 1);
      await other.until(({ events }) => events.at(-1)?.id === id);
      peer.resume();
      await peer.gone;
      expect(peer.events.slice(heard).map((event) => event.id)).not.toContain(id);
    });

    test('its client is told why', async () => {
      await using gateway = await startGateway();
      await using peer = subscribe(gateway.port, { token: await gateway.token('ada'), channels: 'global' });
      await peer.live();
      await (await adminOf(gateway)).revoke.mutate({ sub: 'ada' });
      expect(await peer.ended()).toEqual(REVOKED);
    });

    test('it ends with its token', async () => {
      await using gateway = await startGateway();
      const token = await signToken(TOKENS, { sub: 'ada', role: 'user', expiresInSeconds: 1 });
      await using peer = subscribe(gateway.port, { token, channels: 'global' });
      await peer.live();
      expect(await peer.ended()).toEqual({ code: 1008, reason: 'the token has expired' });
      await expect.poll(() => gateway.census).toMatchObject(GONE);
    });

    test('an administrator sends it away, and it may come back', async () => {
      await using gateway = await startGateway();
      const admin = await adminOf(gateway);
      const ask = { token: await gateway.token('ada'), channels: 'global' };
      await using peer = subscribe(gateway.port, ask);
      await peer.live();
      const [row] = (await admin.connections.query()).connections;
      await admin.disconnect.mutate({ connection_id: row?.connection_id ?? '' });
      expect(await peer.ended()).toEqual({ code: 1013, reason: 'disconnected by an administrator' });
      await using again = subscribe(gateway.port, ask);
      await again.live();
    });

    test('one that opens while its token is revoked does not open', async () => {
      await using proxy = await startProxy(Number(new URL(inject('redisUrl')).port));
      const env = { ...(await sharedEnv()), COURIER_BROKER: `redis://127.0.0.1:${proxy.port}` };
      await using gateway = await startGateway({ ...env, COURIER_LIMITS: '{"user":{"connections":5},"admin":{"queriesPerSecond":null}}' });
      const admin = await adminOf(gateway);
      const ask = { token: await gateway.token('ada'), channels: 'global' };
      await using open = subscribe(gateway.port, ask);
      await open.live();
      const claim = proxy.hold('connections:user ada');
      await using opening = subscribe(gateway.port, ask);
      // Its place is being asked for: its token has been verified.
      await claim.heard;
      const revoked = admin.revoke.mutate({ sub: 'ada' });
      await open.until(({ goodbye }) => goodbye?.reason === REVOKED.reason);
      claim.release();
      expect(await opening.ended()).toEqual(REVOKED);
      expect(opening.events).toEqual([]);
      await revoked;
    });
  });
}

const onlyOne = ({ transport }: TransportDriver) => ['trpc', 'plain', 'sse'].map((name) => (name === transport ? 1 : 0));
