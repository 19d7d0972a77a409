/** Events of Cartographe, which backtests strategies. They go to `backtest.{id}` and `strategy.{id}`. */
import { z } from 'zod';
import { count, date, durationMs, failure, id, progress, symbol, text } from '../fields.ts';

const metrics = z.strictObject({
  total_return: z.number().describe('Gain over the whole period as a fraction: 0.25 is +25%.'),
  max_drawdown: z.number().describe('Largest fall from a peak as a fraction of it: 0.2 is 20%.'),
  trades: count.describe('Round trips made.'),
  sharpe_ratio: z.number().optional().describe('Annualised, without a risk-free rate.'),
  win_rate: z.number().min(0).max(1).optional().describe('Fraction of the round trips that gained.'),
});

export const cartographeEvents = {
  'backtest.started': z.strictObject({
    backtest_id: id,
    strategy_id: id.optional(),
    symbol: symbol.optional(),
    from: date.optional(),
    to: date.optional(),
    bars_total: count.optional().describe('Bars to go through.'),
  }),
  'backtest.progress': z.strictObject({
    backtest_id: id,
    progress,
    bars_processed: count.optional(),
    bars_total: count.optional(),
    message: text.optional(),
  }),
  'backtest.completed': z.strictObject({
    backtest_id: id,
    metrics,
    strategy_id: id.optional(),
    duration_ms: durationMs.optional(),
  }),
  'backtest.failed': z.strictObject({ backtest_id: id, ...failure }),
};
