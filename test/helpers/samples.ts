/** The events of tests: a valid draft of every type, and the drafts that most tests publish. */
import type { EventDraftInput, EventType } from '../../src/contract/index.ts';

/** By type. */
export const SAMPLES: { readonly [T in EventType]: EventDraftInput<T> } = {
  'strategy.generation.started': {
    type: 'strategy.generation.started',
    channel: 'strategy.s1',
    data: { strategy_id: 's1', name: 'SMA 20/50', symbols: ['SPX'], parameters: { fast: 20, nested: { list: [1, null, 'x'] } } },
  },
  'strategy.generation.progress': {
    type: 'strategy.generation.progress',
    channel: 'strategy.s1',
    data: { strategy_id: 's1', progress: 0.5, stage: 'search' },
  },
  'strategy.generation.completed': {
    type: 'strategy.generation.completed',
    channel: 'user.u1',
    data: { strategy_id: 's1', score: 1.25, duration_ms: 12 },
  },
  'strategy.generation.failed': {
    type: 'strategy.generation.failed',
    channel: 'global',
    data: { strategy_id: 's1', code: 'no_data', message: 'no bars', retryable: false },
  },
  'backtest.started': {
    type: 'backtest.started',
    channel: 'backtest.b1',
    data: { backtest_id: 'b1', strategy_id: 's1', symbol: 'SPX', from: '2000-01-03', to: '2020-04-17', bars_total: 5105 },
  },
  'backtest.progress': { type: 'backtest.progress', channel: 'backtest.b1', data: { backtest_id: 'b1', progress: 0, bars_processed: 0 } },
  'backtest.completed': {
    type: 'backtest.completed',
    channel: 'strategy.s1',
    data: { backtest_id: 'b1', metrics: { total_return: 0.4, max_drawdown: 0.2, trades: 3, sharpe_ratio: 0.9, win_rate: 0.5 } },
  },
  'backtest.failed': {
    type: 'backtest.failed',
    channel: 'backtest.b1',
    data: { backtest_id: 'b1', code: 'too_short', message: 'too few bars' },
  },
  'trade.executed': {
    type: 'trade.executed',
    channel: 'strategy.s1',
    data: { trade_id: 't1', order_id: 'o1', symbol: 'SPX', side: 'buy', quantity: '1.5', price: '1455.22', fee: '0.1' },
  },
  'order.placed': {
    type: 'order.placed',
    channel: 'strategy.s1',
    data: { order_id: 'o1', symbol: 'SPX', side: 'buy', order_type: 'limit', quantity: '1.5', limit_price: '1455.22' },
  },
  'order.filled': {
    type: 'order.filled',
    channel: 'strategy.s1',
    data: { order_id: 'o1', symbol: 'SPX', side: 'buy', quantity: '1.5', price: '1455.22', remaining_quantity: '0' },
  },
  'order.cancelled': { type: 'order.cancelled', channel: 'strategy.s1', data: { order_id: 'o1', reason: 'expired' } },
  'position.updated': {
    type: 'position.updated',
    channel: 'user.u1',
    data: { symbol: 'SPX', quantity: '-1.5', average_price: '1455.22', realized_pnl: '-12.00' },
  },
  'forge.job.started': { type: 'forge.job.started', channel: 'forge.job.j1', data: { job_id: 'j1', kind: 'backtests' } },
  'forge.job.progress': { type: 'forge.job.progress', channel: 'forge.job.j1', data: { job_id: 'j1', progress: 1, step: 'done' } },
  'forge.job.completed': { type: 'forge.job.completed', channel: 'forge.job.j1', data: { job_id: 'j1', result: { winner: 's1' } } },
  'forge.job.failed': { type: 'forge.job.failed', channel: 'forge.job.j1', data: { job_id: 'j1', code: 'crash', message: 'worker died' } },
};

/** The draft of tests for which any event will do. */
export function jobStarted(kind = 'k') {
  return { type: 'forge.job.started', channel: 'forge.job.j', data: { job_id: 'j', kind } } as const;
}

/** The draft of tests that need data of a size of their own. */
export function jobCompleted(result?: Readonly<Record<string, unknown>>) {
  return { type: 'forge.job.completed', channel: 'forge.job.j', data: { job_id: 'j', ...(result && { result }) } } as const;
}

/** The data of tests that count events, each with another fraction. */
export function progressOf(fraction = 0.5) {
  return { backtest_id: 'b1', progress: fraction };
}

/** The value so many times, as objects of their own: superjson writes a reference for one that stands at several places. */
export function copies<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => structuredClone(value));
}
