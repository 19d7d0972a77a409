/** Who is still there: a peer that has gone without a word gives its place back, and one that lives keeps it. */
import { describe, expect, test } from 'vitest';
import { startProxy } from '../../faults/proxy.ts';
import { startGateway } from '../../helpers/gateway.ts';
import type { TransportDriver } from '../../helpers/transports.ts';
import { publish } from './publishing.ts';

/** A peer is dead after 24 looks, and pinged after 12. */
const LOOK_MS = 20;
const LOOKS_BEFORE_END = 24;
const LOOKS_BETWEEN_COMMENTS = 6;

const startLooking = (limits = {}) => startGateway({ COURIER_LIMITS: JSON.stringify(limits) }, {}, { timings: { lookMs: LOOK_MS } });

export function describeLiveness({ subscribe, isWebSocket }: TransportDriver): void {
  describe('a peer that is gone without a word', () => {
    test.each([
      ['a quiet', 0],
      ['a busy', 1],
    ])('on %s stream gives its place back', async (_name, events) => {
      await using gateway = await startLooking({ service: { connections: 1 } });
      await using proxy = await startProxy(gateway.port);
      const token = await gateway.token('reader', 'service');
      await using lost = subscribe(proxy.port, { token, answersPings: true });
      await lost.live();
      proxy.cut();
      if (isWebSocket) {
        // However much is written to it: it is not heard.
        while (gateway.census.places > 0) await (events > 0 ? publish(gateway, events) : fetch(`${gateway.url}/livez`));
        expect(gateway.census).toMatchObject({ connections: { trpc: 0, plain: 0 }, subscriptions: 0 });
      } else if (events > 0) await publish(gateway, events);
      await using again = subscribe(gateway.port, { token });
      await again.live();
      await expect.poll(() => gateway.census).toMatchObject({ places: 1, subscriptions: 1 });
    });

    test('is not taken for one that lives, and is quiet', async () => {
      await using gateway = await startLooking();
      await using peer = subscribe(gateway.port, { token: await gateway.token('ada'), channels: 'global', answersPings: true });
      await peer.live();
      await using watch = subscribe(gateway.port, { token: await gateway.token('eve'), channels: 'global', answersPings: true });
      await watch.live();
      if (isWebSocket) {
        const pings = peer.pings;
        await peer.until((one) => one.pings >= pings + 4);
      } else {
        const comments = peer.texts.length;
        await peer.until(({ texts }) => texts.length >= comments + (2 * LOOKS_BEFORE_END) / LOOKS_BETWEEN_COMMENTS);
      }
      expect([peer.isGone, watch.isGone]).toEqual([false, false]);
    });
  });
}
