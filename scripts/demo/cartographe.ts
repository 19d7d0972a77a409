/** Cartographe backtests every strategy that Prophet completes, bar by bar. */
import { setImmediate } from 'node:timers/promises';
import { readBars } from './bars.ts';
import { backtest, type Parameters, untestable } from './moving-average.ts';
import { runService, type Service } from './service.ts';

/** Progress events a backtest. */
const STEPS = 5;
const bars = readBars();

await runService((service) =>
  service.on(['strategy.*'], ['strategy.generation.completed'], async ({ data: { strategy_id, parameters }, metadata }) => {
    await test(service, strategy_id, parameters as unknown as Parameters, metadata.correlation_id);
  }),
);

async function test(
  { trpc, count }: Service,
  strategy_id: string,
  parameters: Parameters,
  correlation_id: string | undefined,
): Promise<void> {
  const backtest_id = `bt-${strategy_id}`;
  const channel = `backtest.${backtest_id}` as const;
  const metadata = { correlation_id };
  const { publish } = trpc.cartographe;
  const [from, to] = [bars[0]?.date, bars.at(-1)?.date];
  const started = { backtest_id, strategy_id, symbol: 'SPX', from, to, bars_total: bars.length };
  await count(publish.mutate({ type: 'backtest.started', channel, metadata, data: started }));
  const message = untestable(parameters, bars.length);
  if (message !== undefined) {
    const data = { backtest_id, code: 'too_few_bars', message, retryable: false };
    await count(publish.mutate({ type: 'backtest.failed', channel, metadata, data }));
    return;
  }
  const run = backtest(bars, parameters);
  for (let step = run.next(); ; step = run.next()) {
    if (step.done) {
      await count(
        publish.mutate({ type: 'backtest.completed', channel, metadata, data: { backtest_id, strategy_id, metrics: step.value.metrics } }),
      );
      return;
    }
    const bars_processed = step.value + 1;
    if (bars_processed % Math.ceil(bars.length / STEPS) !== 0) continue;
    const data = { backtest_id, progress: bars_processed / bars.length, bars_processed, bars_total: bars.length };
    await count(publish.mutate({ type: 'backtest.progress', channel, metadata, data }));
    await setImmediate();
  }
}
