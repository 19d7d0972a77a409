/** The TypeScript client and a gateway that asks for a long delay: it waits for a minute, whatever is to be repeated. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BackgroundPublisher, CourierClient, type EventDraft } from '../../client/src/index.ts';
import { progressOf } from '../helpers/samples.ts';
import { gatewayThat } from './publishes.ts';

const CHANNEL = 'backtest.b1';
const EVENT: EventDraft = { type: 'backtest.progress', channel: CHANNEL, data: progressOf() };
const A_DAY = { code: 'TOO_MANY_REQUESTS', retry_after_ms: 86_400_000 };
const NO_LIMIT = { timeoutMs: Number.POSITIVE_INFINITY };

/** The long delays of the client, each of which is over at once. */
const delays: number[] = [];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const { setTimeout } = globalThis;
  vi.stubGlobal('setTimeout', (late: () => void, delayMs = 0) => {
    if (delayMs < 50_000) return setTimeout(late, delayMs);
    delays.push(delayMs);
    return setTimeout(() => {
      vi.advanceTimersByTime(delayMs);
      late();
    });
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
  delays.length = 0;
});

/** A gateway that refuses the first publish, and a client of it without jitter. */
async function refusedOnce(error: { code: string; retry_after_ms: number; channel?: string }) {
  let isRefused = false;
  const gateway = await gatewayThat(() => {
    if (isRefused) return undefined;
    isRefused = true;
    return error;
  });
  const told: unknown[] = [];
  const retry = { minDelayMs: 0, maxDelayMs: 0, busyDelayMs: 0 };
  const client = new CourierClient({ url: gateway.url, token: 't', retry, ...NO_LIMIT, onRetry: (failure) => told.push(failure) });
  return { gateway, client, told };
}

type Publish = (client: CourierClient) => void;
const PUBLISHES: readonly [what: string, error: typeof A_DAY & { channel?: string }, publish: Publish][] = [
  ['a publish', A_DAY, (client) => void client.publish(CHANNEL, 'backtest.progress', progressOf()).catch(() => undefined)],
  ['a batch', A_DAY, (client) => void client.publishBatch([EVENT]).catch(() => undefined)],
  ['a background publisher', A_DAY, (client) => new BackgroundPublisher(client).submit(EVENT)],
  ['a channel of a background publisher', { ...A_DAY, channel: CHANNEL }, (client) => new BackgroundPublisher(client).submit(EVENT)],
];

describe('a gateway that asks for a day', () => {
  test.each(PUBLISHES)('is asked again by %s in a minute', async (_what, error, publish) => {
    const { gateway, client, told } = await refusedOnce(error);
    publish(client);
    await expect.poll(() => gateway.stored).toHaveLength(1);
    expect(told).toMatchObject([{ code: 'TOO_MANY_REQUESTS', retryAfterMs: A_DAY.retry_after_ms }]);
    expect(gateway.calls).toHaveLength(2);
    expect(delays).toEqual([expect.closeTo(60_000, -2)]);
    await client.close();
    await gateway[Symbol.asyncDispose]();
  });
});

describe('a gateway that asks for', () => {
  test.each([
    ['less than nothing', -5],
    ['no number', 'soon' as unknown as number],
    ['nothing', null as unknown as number],
  ])('%s is asked again at once', async (_what, retry_after_ms) => {
    const { gateway, client, told } = await refusedOnce({ ...A_DAY, retry_after_ms });
    expect(await client.publish(CHANNEL, 'backtest.progress', progressOf())).toMatchObject({ id: 'e1-1' });
    expect(told).toMatchObject([{ code: 'TOO_MANY_REQUESTS', retryAfterMs: undefined }]);
    expect(delays).toEqual([]);
    await client.close();
    await gateway[Symbol.asyncDispose]();
  });
});
