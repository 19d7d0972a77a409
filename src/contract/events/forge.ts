/** Events of Forge, which runs jobs. They go to `forge.job.{id}`. */
import { z } from 'zod';
import { durationMs, failure, id, parameters, progress, text } from '../fields.ts';

export const forgeEvents = {
  'forge.job.started': z.strictObject({
    job_id: id,
    kind: text.describe('What sort of job it is.'),
    strategy_id: id.optional(),
  }),
  'forge.job.progress': z.strictObject({
    job_id: id,
    progress,
    step: text.optional().describe('What is being done.'),
    message: text.optional(),
  }),
  'forge.job.completed': z.strictObject({ job_id: id, duration_ms: durationMs.optional(), result: parameters.optional() }),
  'forge.job.failed': z.strictObject({ job_id: id, ...failure }),
};
