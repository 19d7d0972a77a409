/** How the generation of a strategy goes on, and how it did when it was tested last. */
import { z } from 'zod';
import { idIn } from '../../../contract/channels.ts';
import { defineEntity, type StateOf } from '../../../contract/define.ts';
import { durationMs, id, parameters, progress } from '../../../contract/fields.ts';
import { cartographe, metrics } from '../cartographe.ts';
import { symbol } from '../fields.ts';
import { prophet } from '../prophet.ts';
import { failed, instant } from './fields.ts';

const state = z.strictObject({
  strategy_id: id,
  status: z.enum(['unknown', 'generating', 'generated', 'failed']).describe('Of its generation; unknown where only tests of it are known.'),
  progress: progress.optional(),
  stage: z.string().optional().describe('What is being done.'),
  message: z.string().optional(),
  name: z.string().optional().describe('Name of the strategy.'),
  symbols: z.array(symbol).optional().describe('What it is to trade.'),
  parameters: parameters.optional(),
  score: z.number().optional().describe("The generator's own rating; higher is better."),
  duration_ms: durationMs.optional(),
  failure: failed.optional(),
  last_backtest: z
    .strictObject({
      backtest_id: id,
      status: z.enum(['running', 'completed', 'failed']),
      metrics: metrics.optional(),
      failure: failed.optional(),
      changed_at: instant,
    })
    .optional(),
  started_at: instant.optional(),
  changed_at: instant,
});
type Strategy = StateOf<typeof state>;

export const strategy = defineEntity({
  description: 'A strategy: its generation, its score, and its last backtest.',
  of: [prophet, cartographe],
  types: [
    'strategy.generation.started',
    'strategy.generation.progress',
    'strategy.generation.completed',
    'strategy.generation.failed',
    'backtest.started',
    'backtest.completed',
    'backtest.failed',
  ],
  // A backtest's own channel has the backtest.
  on: ['strategy'],
  key: ['strategy_id'],
  state,
  // One that was generated may trade for years.
  open: ({ status }) => status !== 'failed',
  reduce: (before: Strategy | undefined, { type, channel, data, metadata: { timestamp: changed_at } }): Strategy | undefined => {
    // Where the data does not say it, the channel does.
    const { strategy_id = idIn(channel) } = data as { readonly strategy_id?: string };
    const known: Strategy = before ?? { strategy_id, status: 'unknown', changed_at };
    switch (type) {
      case 'strategy.generation.started': {
        const { last_backtest } = known;
        const started: Strategy = { ...data, status: 'generating', progress: 0, started_at: changed_at, changed_at };
        return last_backtest === undefined ? started : { ...started, last_backtest };
      }
      case 'strategy.generation.progress':
        return known.status === 'generated' || known.status === 'failed' ? before : { ...known, ...data, status: 'generating', changed_at };
      case 'strategy.generation.completed': {
        const { failure: _, ...rest } = known;
        return { ...rest, ...data, status: 'generated', progress: 1, changed_at };
      }
      case 'strategy.generation.failed':
        return { ...known, status: 'failed', failure: failureOf(data), changed_at };
      case 'backtest.started':
        return { ...known, last_backtest: { backtest_id: data.backtest_id, status: 'running', changed_at }, changed_at };
      case 'backtest.completed': {
        const { backtest_id, metrics: reached } = data;
        return { ...known, last_backtest: { backtest_id, status: 'completed', metrics: reached, changed_at }, changed_at };
      }
      case 'backtest.failed':
        return {
          ...known,
          last_backtest: { backtest_id: data.backtest_id, status: 'failed', failure: failureOf(data), changed_at },
          changed_at,
        };
    }
  },
});

type Failure = z.output<typeof failed>;

function failureOf({ code, message, retryable }: Failure): Failure {
  return { code, message, ...(retryable !== undefined && { retryable }) };
}
