/** What a client costs that does not read: nothing, to others, and not for long; and that it misses nothing. */
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../../helpers/gateway.ts';
import type { Peer } from '../../helpers/peer.ts';
import type { TransportDriver } from '../../helpers/transports.ts';
import { publish } from './publishing.ts';

const STALL_MS = 300;
const HIGH_WATER_BYTES = 256 * 1024;
/** A page of the log may follow what is unsent. */
const MAX_BUFFERED_BYTES = HIGH_WATER_BYTES + 1.5 * 1024 * 1024;
const EVENT_CHARACTERS = 8000;

/** The figures of a connection, as admins see them. */
export async function figuresOf(gateway: TestGateway, sub: string) {
  const { admin } = gateway.httpClient(await gateway.token('root', 'admin'));
  return (await admin.connections.query({ sub })).connections[0];
}

/** Lets a client, which is live, read nothing more, and publishes until that is felt. Resolves to what was published. */
export async function stall(gateway: TestGateway, peer: Peer, sub: string): Promise<string[]> {
  peer.pause();
  const ids: string[] = [];
  // What the kernel keeps for a client is its own choice.
  while (((await figuresOf(gateway, sub))?.buffered_bytes ?? Number.POSITIVE_INFINITY) < HIGH_WATER_BYTES)
    ids.push(...(await publish(gateway, 100, EVENT_CHARACTERS)));
  return ids;
}

export function describeStall({ subscribe, transport, isWebSocket }: TransportDriver): void {
  describe('a client that does not read', () => {
    test('is ended, costs the others nothing, and gets the rest when it resumes', async () => {
      await using gateway = await startGateway({}, {}, { timings: { stallMs: STALL_MS } });
      const token = await gateway.token('reader', 'service');
      await using other = subscribe(gateway.port, { token: await gateway.token('other', 'service') });
      await using peer = subscribe(gateway.port, { token });
      await Promise.all([peer.live(), other.live()]);
      const ids = await stall(gateway, peer, 'reader');
      ids.push(...(await publish(gateway, 200, EVENT_CHARACTERS)));
      expect((await figuresOf(gateway, 'reader'))?.buffered_bytes ?? 0).toBeLessThan(MAX_BUFFERED_BYTES);
      await other.until(({ published }) => published.length === ids.length);
      await expect.poll(() => figuresOf(gateway, 'reader')).toBeUndefined();
      expect(gateway.census.subscriptions).toBe(1);
      // It is cut off a second later, though it answers nothing.
      await expect.poll(() => gateway.census.connections[transport], { timeout: 3000 }).toBe(1);
      const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
      expect(metrics).toContain(`courier_disconnections_total{transport="${transport}",code="4509"} 1`);
      peer.resume();
      await peer.gone;
      const lastEventId = peer.published.at(-1)?.id ?? '';
      await using again = subscribe(gateway.port, { token, lastEventId });
      await again.live();
      expect([...peer.published, ...again.published].map(({ id }) => id)).toEqual(ids);
    });

    // Of a stream of server-sent events only the kernel knows that it is read, and says so in lumps.
    if (!isWebSocket) return;

    test('and reads slowly, but reads, is left alone', async () => {
      await using gateway = await startGateway({}, {}, { timings: { stallMs: STALL_MS } });
      await using peer = subscribe(gateway.port, { token: await gateway.token('reader', 'service'), answersPings: true });
      await peer.live();
      const ids = await stall(gateway, peer, 'reader');
      const began = performance.now();
      while (peer.published.length < ids.length && !peer.isGone) {
        peer.resume();
        await Promise.race([once(peer.socket, 'data'), peer.gone]);
        peer.pause();
        await wait(STALL_MS / 15);
      }
      expect(performance.now() - began).toBeGreaterThan(2 * STALL_MS);
      expect(peer.published.map(({ id }) => id)).toEqual(ids);
    });
  });
}
