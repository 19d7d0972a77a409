/** Cartographe backtests strategies. */
import { z } from 'zod';
import { defineService } from '../../contract/define.ts';
import { count, date, durationMs, failure, id, progress, text } from '../../contract/fields.ts';
import { symbol } from './fields.ts';

export const metrics = z.strictObject({
  total_return: z.number().describe('Gain over the whole period as a fraction: 0.25 is +25%.'),
  max_drawdown: z.number().describe('Largest fall from a peak as a fraction of it: 0.2 is 20%.'),
  trades: count.describe('Round trips made.'),
  sharpe_ratio: z.number().optional().describe('Annualised, without a risk-free rate.'),
  win_rate: z.number().min(0).max(1).optional().describe('Fraction of the round trips that gained.'),
});

export const cartographe = defineService({
  description: 'backtests strategies',
  events: {
    'backtest.started': {
      on: ['backtest', 'strategy'],
      description: 'A backtest has begun.',
      data: z.strictObject({
        backtest_id: id,
        strategy_id: id.optional(),
        symbol: symbol.optional(),
        from: date.optional(),
        to: date.optional(),
        bars_total: count.optional().describe('Bars to go through.'),
      }),
      examples: [{ backtest_id: 'b1', strategy_id: 's1', symbol: 'SPX', from: '2000-01-03', to: '2020-04-17', bars_total: 5105 }],
    },
    'backtest.progress': {
      on: ['backtest', 'strategy'],
      description: 'How far a backtest has come.',
      data: z.strictObject({
        backtest_id: id,
        progress,
        bars_processed: count.optional(),
        bars_total: count.optional(),
        message: text.optional(),
      }),
      examples: [{ backtest_id: 'b1', progress: 0.5, bars_processed: 2552, bars_total: 5105 }],
    },
    'backtest.completed': {
      on: ['backtest', 'strategy'],
      description: 'A backtest has come to its end.',
      data: z.strictObject({
        backtest_id: id,
        metrics,
        strategy_id: id.optional(),
        duration_ms: durationMs.optional(),
      }),
      examples: [{ backtest_id: 'b1', metrics: { total_return: 0.4, max_drawdown: 0.2, trades: 3, sharpe_ratio: 0.9, win_rate: 0.5 } }],
    },
    'backtest.failed': {
      on: ['backtest', 'strategy'],
      description: 'A backtest has failed.',
      data: z.strictObject({ backtest_id: id, ...failure }),
      examples: [{ backtest_id: 'b1', code: 'too_short', message: 'too few bars' }],
    },
  },
});
