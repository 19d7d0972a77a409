/** Events of Prophet, which generates strategies. They go to `strategy.{id}`. */
import { z } from 'zod';
import { durationMs, failure, id, parameters, progress, symbol, text } from '../fields.ts';

export const prophetEvents = {
  'strategy.generation.started': z.strictObject({
    strategy_id: id,
    name: text.optional().describe('Name of the strategy.'),
    symbols: z.array(symbol).max(1000).optional().describe('What it is to trade.'),
    parameters: parameters.optional(),
  }),
  'strategy.generation.progress': z.strictObject({
    strategy_id: id,
    progress,
    stage: text.optional().describe('What is being done.'),
    message: text.optional(),
  }),
  'strategy.generation.completed': z.strictObject({
    strategy_id: id,
    name: text.optional().describe('Name of the strategy.'),
    score: z.number().optional().describe("The generator's own rating; higher is better."),
    parameters: parameters.optional(),
    duration_ms: durationMs.optional(),
  }),
  'strategy.generation.failed': z.strictObject({ strategy_id: id, ...failure }),
};
