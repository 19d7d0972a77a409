/** Delivery: fan-out to one channel, many channels, patterns, latency at a load that all can hold, fairness. */
import { CONTENDERS } from '../protocols.ts';
import { measureLatency, measureThroughput, startStage } from './stage.ts';
import { inTurn, type Row, type Settings, thousands, type Workload } from './workload.ts';

const CHANNEL = 'forge.job.bench';
/** Bytes to all subscribers in one turn, at most: more than this and the kernel's buffers are what is measured. */
const MAX_TURN_BYTES = 100e6;

const fanOutCase = (perTurn: number, bytes: number, subscribers: number) => `${perTurn} a turn, ${bytes} B, to ${thousands(subscribers)}`;

async function fanOut(settings: Settings): Promise<Row[]> {
  const rows: Row[] = [];
  for (const subscribers of settings.quick ? [200, 1000] : [200, 1000, 5000]) {
    for (const bytes of settings.quick ? [300] : [300, 4096]) {
      for (const perTurn of [1, 20]) {
        if (perTurn * bytes * subscribers > MAX_TURN_BYTES) continue;
        const traffic = { perTurn, bytes, channels: [CHANNEL], deliveriesPerTurn: perTurn * subscribers };
        const measured = await inTurn(settings, fanOutCase(perTurn, bytes, subscribers), CONTENDERS, async (name) => {
          await using stage = await startStage(name, Array(subscribers).fill(CHANNEL));
          const { deliveriesPerSecond, cpuMicrosPerDelivery } = await measureThroughput(stage, traffic, settings.seconds);
          return { 'deliveries/s': deliveriesPerSecond, 'CPU µs/delivery': cpuMicrosPerDelivery };
        });
        rows.push(...measured);
      }
    }
  }
  return rows;
}

async function manyChannels(settings: Settings): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of settings.quick ? [1000] : [2000, 5000]) {
    const channels = Array.from({ length: count }, (_, index) => `forge.job.c${index}`);
    const traffic = { perTurn: 20, bytes: 300, channels, deliveriesPerTurn: 20 };
    const measured = await inTurn(settings, `${thousands(count)} channels, one subscriber each`, CONTENDERS, async (name) => {
      await using stage = await startStage(name, channels);
      const { deliveriesPerSecond, cpuMicrosPerDelivery } = await measureThroughput(stage, traffic, settings.seconds);
      return { 'deliveries/s': deliveriesPerSecond, 'CPU µs/delivery': cpuMicrosPerDelivery };
    });
    rows.push(...measured);
  }
  return rows;
}

async function patterns(settings: Settings): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [title, channel] of [
    ['1,000 subscribers to the channel', CHANNEL],
    ['1,000 subscribers to a pattern', 'forge.job.*'],
  ] as const) {
    const traffic = { perTurn: 20, bytes: 300, channels: [CHANNEL], deliveriesPerTurn: 20_000 };
    const measured = await inTurn(settings, title, ['courier'], async (name) => {
      await using stage = await startStage(name, Array(1000).fill(channel));
      const { deliveriesPerSecond, cpuMicrosPerDelivery } = await measureThroughput(stage, traffic, settings.seconds);
      return { 'deliveries/s': deliveriesPerSecond, 'CPU µs/delivery': cpuMicrosPerDelivery };
    });
    rows.push(...measured);
  }
  return rows;
}

/** At loads that are fixed, from one that leaves everyone idle on. */
async function latency(settings: Settings): Promise<Row[]> {
  const subscribers = 1000;
  const traffic = { perTurn: 1, bytes: 300, channels: [CHANNEL], deliveriesPerTurn: subscribers };
  const rows: Row[] = [];
  for (const deliveriesPerSecond of settings.quick ? [10_000] : [1000, 10_000, 100_000]) {
    const turnsPerSecond = deliveriesPerSecond / subscribers;
    // Enough events for a quantile of thousandths, at the sampled sockets.
    const seconds = Math.max(settings.seconds * 2, settings.quick ? 0 : 20 / turnsPerSecond);
    const measured = await inTurn(settings, `${thousands(deliveriesPerSecond)} deliveries/s`, CONTENDERS, async (name) => {
      await using stage = await startStage(name, Array(subscribers).fill(CHANNEL));
      await measureLatency(stage, traffic, 100, settings.seconds / 2);
      const { p50Ms, p99Ms, p999Ms, maxMs, late } = await measureLatency(stage, traffic, turnsPerSecond, seconds);
      return { 'p50 ms': p50Ms, 'p99 ms': p99Ms, 'p99.9 ms': p999Ms, 'max ms': maxMs, 'turns missed': late };
    });
    rows.push(...measured);
  }
  return rows;
}

/** How long others wait for the event loop while one channel has a great many subscribers. */
async function fairness(settings: Settings): Promise<Row[]> {
  const subscribers = settings.quick ? 2000 : 10_000;
  const traffic = { perTurn: 1, bytes: 300, channels: [CHANNEL], deliveriesPerTurn: subscribers };
  const contenders = ['courier', 'ws-shared', 'ws-send', 'socket-io'] as const;
  return inTurn({ ...settings, rounds: 1 }, `5 events/s to ${thousands(subscribers)}`, contenders, async (name) => {
    await using stage = await startStage(name, Array(subscribers).fill(CHANNEL));
    await stage.contender.ask('watch-delay', 'delay');
    const { p99Ms } = await measureLatency(stage, traffic, 5, settings.seconds * 2);
    const delay = await stage.contender.ask('delay', 'delay');
    return { 'event loop p99 ms': delay.p99Ms, 'event loop max ms': delay.maxMs, 'delivery p99 ms': p99Ms };
  });
}

async function idle(settings: Settings): Promise<Row[]> {
  const rows: Row[] = [];
  for (const connections of settings.quick ? [1000] : [1000, 5000, 9000]) {
    const measured = await inTurn({ ...settings, rounds: 1 }, `${thousands(connections)} connections`, CONTENDERS, async (name) => {
      await using stage = await startStage(name, Array(connections).fill(CHANNEL));
      const { rssBytes } = await stage.contender.ask('memory', 'memory');
      return { 'KB/connection': (rssBytes - stage.emptyRssBytes) / connections / 1024 };
    });
    rows.push(...measured);
  }
  return rows;
}

export const deliveryWorkloads: readonly Workload[] = [
  { name: 'fan-out', title: 'Fan-out: one channel, many subscribers', run: fanOut },
  { name: 'channels', title: 'Many channels', run: manyChannels },
  { name: 'patterns', title: 'Patterns', run: patterns },
  { name: 'latency', title: 'Latency from publish to receipt, 1,000 subscribers', run: latency },
  { name: 'fairness', title: 'Event-loop delay during a fan-out', run: fairness },
  { name: 'idle', title: 'Memory of an idle connection with one subscription', run: idle },
];
