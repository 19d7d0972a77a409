/** Prophet generates strategies. */
import { z } from 'zod';
import { defineService } from '../../contract/define.ts';
import { durationMs, failure, id, parameters, progress, text } from '../../contract/fields.ts';
import { symbol } from './fields.ts';

export const prophet = defineService({
  description: 'generates strategies',
  events: {
    'strategy.generation.started': {
      on: ['strategy'],
      description: 'The generation of a strategy has begun.',
      data: z.strictObject({
        strategy_id: id,
        name: text.optional().describe('Name of the strategy.'),
        symbols: z.array(symbol).max(1000).optional().describe('What it is to trade.'),
        parameters: parameters.optional(),
      }),
      examples: [{ strategy_id: 's1', name: 'SMA 20/50', symbols: ['SPX'], parameters: { fast: 20, nested: { list: [1, null, 'x'] } } }],
    },
    'strategy.generation.progress': {
      on: ['strategy'],
      description: 'How far the generation of a strategy has come.',
      data: z.strictObject({
        strategy_id: id,
        progress,
        stage: text.optional().describe('What is being done.'),
        message: text.optional(),
      }),
      examples: [{ strategy_id: 's1', progress: 0.5, stage: 'search' }],
    },
    'strategy.generation.completed': {
      on: ['strategy'],
      description: 'A strategy has been generated.',
      data: z.strictObject({
        strategy_id: id,
        name: text.optional().describe('Name of the strategy.'),
        score: z.number().optional().describe("The generator's own rating; higher is better."),
        parameters: parameters.optional(),
        duration_ms: durationMs.optional(),
      }),
      examples: [{ strategy_id: 's1', score: 1.25, duration_ms: 12 }],
    },
    'strategy.generation.failed': {
      on: ['strategy'],
      description: 'The generation of a strategy has failed.',
      data: z.strictObject({ strategy_id: id, ...failure }),
      examples: [{ strategy_id: 's1', code: 'no_data', message: 'no bars', retryable: false }],
    },
  },
});
