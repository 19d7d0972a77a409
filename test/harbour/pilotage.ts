/** The pilots bring vessels to their berths. */
import { z } from 'zod';
import { defineService } from '../../src/contract/define.ts';
import { earlierVersion } from '../../src/contract/definition.ts';
import { failure, id, progress, text } from '../../src/contract/fields.ts';
import { cargo, draughtCm } from './fields.ts';

/** Version 1 had the draught in metres, and the name of one tug. */
const arrivingV1 = earlierVersion(z.strictObject({ imo: id, draught_m: z.number(), tug: text.optional() }), ({ imo, draught_m, tug }) => ({
  imo,
  draught_cm: Math.round(draught_m * 100),
  ...(tug !== undefined && { tugs: [{ name: tug, pull: 'stern' as const }] }),
}));

export const pilotage = defineService({
  description: 'brings vessels to their berths',
  events: {
    'vessel.arriving': {
      on: ['vessel', 'berth'],
      description: 'A pilot has gone on board of a vessel.',
      version: 2,
      data: z.strictObject({
        imo: id,
        berth_no: id.optional(),
        draught_cm: draughtCm.optional(),
        cargo: cargo.optional(),
        tugs: z
          .array(z.strictObject({ name: text, pull: z.enum(['bow', 'stern']) }))
          .max(8)
          .optional(),
      }),
      upcast: { 1: arrivingV1 },
      examples: [{ imo: '9074729', draught_cm: 1450, cargo: 'containers', tugs: [{ name: 'Bugsier 7', pull: 'bow' }] }],
    },
    'vessel.approaching': {
      on: ['vessel', 'berth'],
      description: 'How much of the way to its berth a vessel has come.',
      data: z.strictObject({ imo: id, way: progress, message: text.optional() }),
      examples: [{ imo: '9074729', way: 0.5, message: 'behind the lock' }],
    },
    'vessel.turned_away': {
      on: ['vessel', 'berth'],
      description: 'A vessel was not let in.',
      data: z.strictObject({ imo: id, ...failure }),
      examples: [{ imo: '9074729', code: 'too_deep', message: 'wait for the tide', retryable: true }],
    },
  },
});
