/** Forge runs jobs. */
import { z } from 'zod';
import { defineService } from '../../contract/define.ts';
import { durationMs, failure, id, parameters, progress, text } from '../../contract/fields.ts';

export const forge = defineService({
  description: 'runs jobs',
  events: {
    'forge.job.started': {
      on: ['forge.job'],
      description: 'A job has begun.',
      data: z.strictObject({
        job_id: id,
        kind: text.describe('What sort of job it is.'),
        strategy_id: id.optional(),
      }),
      examples: [{ job_id: 'j1', kind: 'backtests' }],
    },
    'forge.job.progress': {
      on: ['forge.job'],
      description: 'How far a job has come.',
      data: z.strictObject({
        job_id: id,
        progress,
        step: text.optional().describe('What is being done.'),
        message: text.optional(),
      }),
      examples: [{ job_id: 'j1', progress: 1, step: 'done' }],
    },
    'forge.job.completed': {
      on: ['forge.job'],
      description: 'A job has come to its end.',
      data: z.strictObject({ job_id: id, duration_ms: durationMs.optional(), result: parameters.optional() }),
      examples: [{ job_id: 'j1', result: { winner: 's1' } }],
    },
    'forge.job.failed': {
      on: ['forge.job'],
      description: 'A job has failed.',
      data: z.strictObject({ job_id: id, ...failure }),
      examples: [{ job_id: 'j1', code: 'crash', message: 'worker died' }],
    },
  },
});
