/** A client to which nothing comes learns from time to time how far it has come, so that its position does not grow old. */
import { describe, expect, test } from 'vitest';
import { startGateway } from '../../helpers/gateway.ts';
import type { Peer } from '../../helpers/peer.ts';
import type { TransportDriver } from '../../helpers/transports.ts';
import { publish } from './publishing.ts';

const QUIET = 'user.quiet';
const notices = ({ events }: Peer) => events.filter(({ type }) => type === 'courier.live');

export function describeQuiet({ subscribe }: TransportDriver): void {
  describe('a client to which nothing comes', () => {
    test('is told where it is when a tenth of retention has passed, once for each move', async () => {
      await using gateway = await startGateway({}, { retentionMs: 1000 });
      await using peer = subscribe(gateway.port, { token: await gateway.token('reader', 'service'), channels: QUIET });
      await peer.live();
      for (let move = 1; move <= 3; move += 1) {
        const [id] = await publish(gateway, 1);
        await peer.until((one) => notices(one).at(-1)?.id === id);
        expect(notices(peer).at(-1)).toMatchObject({ id, data: { position: id, replayed: 0 } });
      }
      expect(notices(peer)).toHaveLength(4);
      expect(peer.published).toEqual([]);
    });

    test('is told where it is before the gateway ends, unless it knows', async () => {
      await using gateway = await startGateway();
      const token = await gateway.token('reader', 'service');
      await using quiet = subscribe(gateway.port, { token, channels: QUIET });
      await using busy = subscribe(gateway.port, { token });
      await Promise.all([quiet.live(), busy.live()]);
      const last = (await publish(gateway, 5)).at(-1);
      await busy.until(({ published }) => published.length === 5);
      await gateway[Symbol.asyncDispose]();
      await Promise.all([quiet.gone, busy.gone]);
      expect(quiet.events.map(({ type }) => type)).toEqual(['courier.live', 'courier.live']);
      expect(quiet.events.at(-1)?.id).toBe(last);
      expect(notices(busy)).toHaveLength(1);
    });
  });
}
