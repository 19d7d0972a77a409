/** How a job of the Forge goes on. */
import { z } from 'zod';
import { defineEntity, type StateOf } from '../../../contract/define.ts';
import { durationMs, id, parameters, progress } from '../../../contract/fields.ts';
import { forge } from '../forge.ts';
import { failed, instant } from './fields.ts';

const state = z.strictObject({
  job_id: id,
  status: z.enum(['running', 'completed', 'failed']),
  progress,
  kind: z.string().optional().describe('What sort of job it is.'),
  strategy_id: id.optional(),
  step: z.string().optional().describe('What is being done.'),
  message: z.string().optional(),
  duration_ms: durationMs.optional(),
  result: parameters.optional(),
  failure: failed.optional(),
  started_at: instant.optional(),
  changed_at: instant,
});
type Job = StateOf<typeof state>;

export const job = defineEntity({
  description: 'A job of the Forge: how far it has come, and what came of it.',
  of: [forge],
  types: ['forge.job.started', 'forge.job.progress', 'forge.job.completed', 'forge.job.failed'],
  key: ['job_id'],
  state,
  open: ({ status }) => status === 'running',
  reduce: (before: Job | undefined, { type, data, metadata: { timestamp: changed_at } }): Job | undefined => {
    if (type === 'forge.job.started') return { ...data, status: 'running', progress: 0, started_at: changed_at, changed_at };
    const { job_id } = data;
    const known: Job = before ?? { job_id, status: 'running', progress: 0, changed_at };
    if (type === 'forge.job.progress') return known.status === 'running' ? { ...known, ...data, changed_at } : before;
    if (type === 'forge.job.completed') {
      const { failure: _, ...rest } = known;
      return { ...rest, ...data, status: 'completed', progress: 1, changed_at };
    }
    const { code, message, retryable } = data;
    return { ...known, status: 'failed', failure: { code, message, ...(retryable !== undefined && { retryable }) }, changed_at };
  },
});
