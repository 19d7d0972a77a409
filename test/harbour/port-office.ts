/** The office gives berths away, and says what the water does. */
import { z } from 'zod';
import { defineService } from '../../src/contract/define.ts';
import { id, text } from '../../src/contract/fields.ts';
import { cargo } from './fields.ts';

export const port_office = defineService({
  description: 'gives berths to vessels',
  events: {
    'berth.assigned': {
      on: ['berth'],
      description: 'A berth was given to a vessel.',
      data: z.strictObject({
        berth_no: id,
        imo: id.optional(),
        cargo: cargo.optional(),
        services: z.array(text).max(1000).optional().describe('What the vessel has ordered.'),
      }),
      subject: 'imo',
      examples: [{ berth_no: 'Q12', imo: '9074729', cargo: 'containers', services: ['water', 'shore power'] }],
    },
    'berth.freed': {
      on: ['berth', 'vessel'],
      description: 'A vessel has left its berth.',
      data: z.strictObject({ berth_no: id, imo: id.optional() }),
      examples: [{ berth_no: 'Q12', imo: '9074729' }],
    },
    'tide.forecast': {
      on: [],
      description: 'How high the water will be.',
      data: z.strictObject({
        gauge: text,
        heights: z
          .array(z.strictObject({ at: z.iso.datetime(), cm: z.int() }))
          .min(1)
          .max(100),
      }),
      subject: 'gauge',
      examples: [{ gauge: 'St. Pauli', heights: [{ at: '2026-01-02T03:04:05Z', cm: -12 }] }],
    },
  },
});
