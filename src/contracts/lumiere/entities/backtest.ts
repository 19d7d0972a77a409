/** How a backtest goes on. */
import { z } from 'zod';
import { defineEntity, type StateOf } from '../../../contract/define.ts';
import { count, date, durationMs, id, progress } from '../../../contract/fields.ts';
import { cartographe, metrics } from '../cartographe.ts';
import { symbol } from '../fields.ts';
import { failed, instant } from './fields.ts';

const state = z.strictObject({
  backtest_id: id,
  status: z.enum(['running', 'completed', 'failed']),
  progress,
  strategy_id: id.optional(),
  symbol: symbol.optional(),
  from: date.optional(),
  to: date.optional(),
  bars_processed: count.optional(),
  bars_total: count.optional(),
  message: z.string().optional(),
  metrics: metrics.optional(),
  duration_ms: durationMs.optional(),
  failure: failed.optional(),
  started_at: instant.optional(),
  changed_at: instant,
});
type Backtest = StateOf<typeof state>;

export const backtest = defineEntity({
  description: 'A backtest: how far it has come, and what came of it.',
  of: [cartographe],
  types: ['backtest.started', 'backtest.progress', 'backtest.completed', 'backtest.failed'],
  key: ['backtest_id'],
  state,
  open: ({ status }) => status === 'running',
  reduce: (before: Backtest | undefined, { type, data, metadata: { timestamp: changed_at } }): Backtest | undefined => {
    if (type === 'backtest.started') return { ...data, status: 'running', progress: 0, started_at: changed_at, changed_at };
    const { backtest_id } = data;
    const known: Backtest = before ?? { backtest_id, status: 'running', progress: 0, changed_at };
    if (type === 'backtest.progress') return known.status === 'running' ? { ...known, ...data, changed_at } : before;
    if (type === 'backtest.completed') {
      const { failure: _, ...rest } = known;
      return { ...rest, ...data, status: 'completed', progress: 1, changed_at };
    }
    const { code, message, retryable } = data;
    return { ...known, status: 'failed', failure: { code, message, ...(retryable !== undefined && { retryable }) }, changed_at };
  },
});
