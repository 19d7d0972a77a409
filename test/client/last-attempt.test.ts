/** The TypeScript client and the end of a call's time: it makes a last attempt before, unless the gateway has asked for a longer delay. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CourierClient } from '../../client/src/index.ts';
import { progressOf } from '../helpers/samples.ts';
import { gatewayThat } from './publishes.ts';

/** Its jitter is longer than any call here may take. */
const SLOW = { minDelayMs: 60_000, maxDelayMs: 60_000 };
const publish = (client: CourierClient, timeoutMs: number) =>
  client.publish('backtest.b1', 'backtest.progress', progressOf(), { timeoutMs });

beforeEach(() => void vi.spyOn(Math, 'random').mockReturnValue(0.9));
afterEach(() => void vi.restoreAllMocks());

test('jitter that does not fit the time is made shorter', async () => {
  await using gateway = await gatewayThat(() => (gateway.calls.length === 1 ? { code: 'SERVICE_UNAVAILABLE' } : undefined));
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: SLOW });
  expect(await publish(client, 4000)).toMatchObject({ id: 'e1-1' });
  expect(gateway.calls).toHaveLength(2);
});

test('the last attempt is the last one', async () => {
  await using gateway = await gatewayThat(() => ({ code: 'SERVICE_UNAVAILABLE', message: 'busy' }));
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: SLOW });
  await expect(publish(client, 4000)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  expect(gateway.calls).toHaveLength(2);
});

test('a delay that the gateway asks for, and that does not fit, ends the call at once', async () => {
  await using gateway = await gatewayThat(() => ({ code: 'SERVICE_UNAVAILABLE', retry_after_ms: 20_000 }));
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: SLOW });
  await expect(publish(client, 20_000)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE', retryAfterMs: 20_000 });
  expect(gateway.calls).toHaveLength(1);
});
