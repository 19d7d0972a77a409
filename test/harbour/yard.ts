/** The yard stores containers. */
import { z } from 'zod';
import { defineService } from '../../src/contract/define.ts';
import { count, durationMs, failure, id, parameters, progress, text } from '../../src/contract/fields.ts';

const container = z.strictObject({
  number: z.string().regex(/^[A-Z]{4}[0-9]{7}$/, { error: 'must be four letters and seven digits' }),
  size: z.enum(['20ft', '40ft']),
  dangerous: z.boolean().optional(),
});

export const yard = defineService({
  description: 'stores containers',
  events: {
    'container.stowed': {
      on: ['yard.block'],
      description: 'A container was put into a block.',
      data: z.strictObject({
        block: id,
        remark: text.describe('What the crane driver says of it.'),
        container: container.optional(),
        slot: z.strictObject({ row: count, tier: count }).optional().describe('Where in the block it is.'),
      }),
      examples: [
        { block: 'A7', remark: 'on top', container: { number: 'MSKU1234565', size: '40ft', dangerous: false }, slot: { row: 3, tier: 2 } },
      ],
    },
    'yard.block.filled': {
      on: ['yard.block'],
      description: 'How full a block is now.',
      data: z.strictObject({
        block: id,
        filled: progress,
        lanes: z
          .array(z.strictObject({ lane: count, free: count, reserved_for: id.optional() }))
          .max(50)
          .optional(),
      }),
      examples: [
        {
          block: 'A7',
          filled: 0.75,
          lanes: [
            { lane: 1, free: 4 },
            { lane: 2, free: 0, reserved_for: '9074729' },
          ],
        },
      ],
    },
    'yard.block.inspected': {
      on: ['yard.block'],
      description: 'A block was inspected.',
      data: z.strictObject({ block: id, duration_ms: durationMs.optional(), findings: parameters.optional() }),
      examples: [{ block: 'A7', duration_ms: 90_000, findings: { rust: [{ tier: 1, photo: null }] } }],
    },
    'yard.block.closed': {
      on: ['yard.block'],
      description: 'A block takes no more containers.',
      data: z.strictObject({ block: id, ...failure }),
      examples: [{ block: 'A7', code: 'flooded', message: 'water in lane 2', retryable: true }],
    },
  },
});
