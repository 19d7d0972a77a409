/** The drain of a gateway, as its clients see it: it tells them to come back, and clients that ignore it do not delay it. */
import { describe, expect, test } from 'vitest';
import { startGateway } from '../../helpers/gateway.ts';
import type { TransportDriver } from '../../helpers/transports.ts';
import { stall } from './stall.ts';

export function describeDrain({ subscribe, name, isWebSocket }: TransportDriver): void {
  describe('when the gateway drains', () => {
    test('it tells its clients to come back, and neither strangers nor clients that ignore it or do not read delay it', async () => {
      await using gateway = await startGateway({ COURIER_DRAIN_SECONDS: '10' });
      const token = await gateway.token('reader', 'service');
      await using peer = subscribe(gateway.port, { token });
      await using unreading = subscribe(gateway.port, { token: await gateway.token('slow', 'service') });
      await Promise.all([peer.live(), unreading.live()]);
      await stall(gateway, unreading, 'slow');
      const began = performance.now();
      await gateway[Symbol.asyncDispose]();
      // A second to move, where there is one, and a second to go.
      expect(performance.now() - began).toBeLessThan(4000);
      const { code, reason } = (await peer.ended()) ?? {};
      expect({ code, reason }).toEqual({ code: name.startsWith('tRPC over server') ? 1013 : 1001, reason: 'shutting down' });
      if (name === 'tRPC over WebSocket') expect(peer.texts).toContain('{"id":null,"method":"reconnect"}');
      if (!isWebSocket) expect(peer.retryMs).toBe(1000);
    });
  });
}
