/** Cartographe backtests every strategy that Prophet completes, bar by bar. */
import { setImmediate } from 'node:timers/promises';
import type { EventData } from '@lumiere/courier-client';
import { readBars } from './bars.ts';
import { backtest, testOf } from './moving-average.ts';
import { runService, type Service } from './service.ts';

/** Progress events a backtest. */
const STEPS = 5;
const bars = readBars();

await runService(
  (service) =>
    service.client.subscribe('strategy.*', ({ data }) => test(service, data), {
      types: ['strategy.generation.completed'],
    }).live,
);

type Strategy = EventData<'strategy.generation.completed'>;

async function test({ publish }: Service, strategy: Strategy): Promise<void> {
  const { strategy_id } = strategy;
  const backtest_id = `bt-${strategy_id}`;
  const channel = `backtest.${backtest_id}` as const;
  const [first, last] = [bars[0], bars.at(-1)];
  if (first === undefined || last === undefined) throw new Error('there are no bars');
  const started = { backtest_id, strategy_id, symbol: 'SPX', from: first.date, to: last.date, bars_total: bars.length };
  await publish(channel, 'backtest.started', started);
  const parameters = testOf(strategy.parameters, bars.length);
  if ('code' in parameters) {
    await publish(channel, 'backtest.failed', { backtest_id, ...parameters, retryable: false });
    return;
  }
  const run = backtest(bars, parameters);
  for (let step = run.next(); ; step = run.next()) {
    if (step.done) {
      await publish(channel, 'backtest.completed', { backtest_id, strategy_id, metrics: step.value.metrics });
      return;
    }
    const bars_processed = step.value + 1;
    if (bars_processed % Math.ceil(bars.length / STEPS) !== 0) continue;
    const data = { backtest_id, progress: bars_processed / bars.length, bars_processed, bars_total: bars.length };
    await publish(channel, 'backtest.progress', data);
    await setImmediate();
  }
}
