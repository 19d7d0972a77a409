/** The hot functions, one by one, so that a regression is seen where it happens: `npm run bench:hot`. */
import superjson from 'superjson';
import { test } from 'vitest';
import { findFault } from '../../src/contract/json.ts';
import { contract } from '../../src/contracts/lumiere/contract.ts';
import type { Batch } from '../../src/delivery/batch.ts';
import { Delivery } from '../../src/delivery/batch.ts';
import { Hub } from '../../src/delivery/hub.ts';
import { memoryLimiter } from '../../src/limits/memory.ts';
import { encodeTracked } from '../../src/transport/trpc-messages.ts';
import { textFrames } from '../../src/transport/web-socket-writer.ts';
import { UsageRecorder } from '../../src/usage/recorder.ts';
import { usageFile } from '../../src/usage/usage-file.ts';

const EVENT = {
  channel: 'backtest.b1',
  type: 'backtest.progress',
  metadata: { timestamp: '2026-01-02T03:04:05.678Z', source: 'cartographe' },
  data: { backtest_id: 'b1', progress: 0.5, message: 'x'.repeat(150) },
};
const BODY = JSON.stringify(EVENT);
const DRAFT = { type: EVENT.type, channel: EVENT.channel, data: EVENT.data };
const delivery = (seq: number) =>
  new Delivery(`9gcxylzg4fdd-${seq}`, { seq, channel: EVENT.channel, family: 'backtest', type: EVENT.type, body: BODY });

test('checking a draft', async ({ bench }) => {
  await bench('zod, 17 types by discriminator', () => {
    contract.draft.parse(DRAFT);
  }).run();
});

test('checking data', async ({ bench }) => {
  const small = { ...EVENT.data, parameters: { fast: 20, slow: 50, list: [1, 2.5, -3], name: 'größe', nested: { a: true, b: null } } };
  const large = {
    texts: Array.from({ length: 1000 }, (_, n) => `text ${n} `.repeat(6)),
    numbers: Array.from({ length: 10_000 }, (_, n) => n),
  };
  await bench('300 bytes', () => {
    findFault(small);
  }).run();
  await bench('100 KiB of text and numbers', () => {
    findFault(large);
  }).run();
});

test('encoding an event for tRPC', async ({ bench }) => {
  const tracked = { id: 'e-1', data: { ...EVENT, id: 'e-1', metadata: { ...EVENT.metadata, timestamp: new Date() } } };
  let seq = 0;
  await bench.compare(
    bench('from its JSON text', () => {
      encodeTracked(delivery(++seq));
    }),
    bench('by superjson and JSON.stringify', () => {
      JSON.stringify(superjson.serialize(tracked));
    }),
  );
});

test('framing a turn of 20 events', async ({ bench }) => {
  const texts = Array.from({ length: 20 }, (_, seq) => encodeTracked(delivery(seq)));
  await bench('one buffer for all of them', () => {
    textFrames(texts);
  }).run();
});

test('dispatching to 1,000 subscribers', async ({ bench }) => {
  const hub = new Hub();
  const sink = { writable: true, deliver: (batch: Batch) => void batch, drained: () => Promise.resolve() };
  const filter = { channels: contract.channels.setOf(['backtest.b1']), types: undefined };
  for (let n = 0; n < 1000; n += 1) hub.join(filter, { sink, onBehind: () => undefined }, 0);
  let seq = 0;
  await bench('one event and the end of its turn', async () => {
    hub.dispatch(delivery(++seq));
    await Promise.resolve();
  }).run();
});

test('counting a call', async ({ bench }) => {
  using limiter = memoryLimiter();
  const rates = [
    { limit: 1e9, periodMs: 1000 },
    { limit: 1e9, periodMs: 60_000 },
  ];
  await bench('two rates', () => {
    limiter.charge([{ key: 'publish:forge', rates, cost: 1 }]);
  }).run();
});

test('noting who uses what', async ({ bench }) => {
  const recorder = new UsageRecorder({
    store: usageFile(undefined, () => undefined),
    contract,
    subscribed: () => [],
    onError: () => undefined,
  });
  const caller = { principal: { sub: 'cartographe', role: 'service' }, identity: { client: 'bench/1', contract: null } } as const;
  const one = [{ type: EVENT.type, family: 'backtest' }];
  const filter = { channels: contract.channels.setOf(['backtest.b1', 'forge.**']), types: undefined };
  await bench('a publish', () => {
    recorder.published(caller, one);
  }).run();
  await bench('a subscription', () => {
    recorder.selected(caller, filter);
  }).run();
  await recorder[Symbol.asyncDispose]();
});
