/** A contract whose things come, change, end and go; an event may change several of them, and some reducers fail. */
import { z } from 'zod';
import { defineContract, defineEntity, defineService } from '../../src/contract/define.ts';
import { text } from '../../src/contract/fields.ts';

const service = defineService({
  events: {
    'thing.put': {
      on: ['shelf'],
      description: 'A thing was put on a shelf, or changed there.',
      data: z.strictObject({
        thing: text,
        count: z.number(),
        kind: z.enum(['box', 'jar']),
        makes: z.enum(['error', 'wrong', 'promise']).optional(),
      }),
      examples: [{ thing: 'x', count: 1, kind: 'box' }],
    },
    'thing.taken': {
      on: ['shelf'],
      description: 'A thing was taken from a shelf.',
      data: z.strictObject({ thing: text }),
      examples: [{ thing: 'x' }],
    },
  },
});

const thing = defineEntity({
  description: 'A thing on a shelf.',
  of: [service],
  types: ['thing.put', 'thing.taken'],
  key: ['thing'],
  state: z.strictObject({ count: z.number(), kind: z.string() }),
  // Of nothing there is none; an empty one has ended.
  open: ({ count }) => count > 0,
  reduce: (_before, { type, data }) => (type === 'thing.taken' ? undefined : { count: data.count, kind: data.kind }),
});

/** Changed by the same events. */
const tally = defineEntity({
  description: 'What was put on a shelf.',
  of: [service],
  types: ['thing.put', 'thing.taken'],
  key: ['shelf_id'],
  state: z.strictObject({ count: z.number(), kind: z.string() }),
  open: ({ count }) => count % 3 !== 0,
  reduce: (before, { type, data }) => {
    if (type === 'thing.taken') return before;
    if (data.makes === 'error') throw new TypeError('secret');
    if (data.makes === 'wrong') return { count: 'many', kind: data.kind } as never;
    if (data.makes === 'promise') return Promise.reject(new Error('secret')) as never;
    return { count: (before?.count ?? 0) + 1, kind: data.kind };
  },
});

export const shelf = defineContract({
  name: 'shelf',
  families: { shelf: { id: 'shelf_id' } },
  services: { shop: service },
  entities: { thing, tally },
});
