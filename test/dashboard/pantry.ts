/** A contract with an entity that has nothing in common with Lumiere's: a key of three fields, one of them the channel's id; no times. */
import { z } from 'zod';
import { defineContract, defineEntity, defineService } from '../../src/contract/define.ts';
import { id } from '../../src/contract/fields.ts';

const jars = { cellar_id: id.optional(), shelf: z.string(), jar: z.string() };
const label = z.strictObject({ maker: z.string(), tags: z.array(z.string()) });

const cook = defineService({
  events: {
    'jar.filled': {
      on: ['cellar'],
      description: 'A jar was filled.',
      data: z.strictObject({ ...jars, grams: z.number(), label }),
      examples: [{ shelf: 'top', jar: 'plum', grams: 1, label: { maker: 'ada', tags: [] } }],
    },
    'jar.emptied': {
      on: ['cellar'],
      description: 'A jar was emptied.',
      data: z.strictObject(jars),
      examples: [{ shelf: 'top', jar: 'plum' }],
    },
  },
});

const jar = defineEntity({
  description: 'What is in a jar.',
  of: [cook],
  types: ['jar.filled', 'jar.emptied'],
  key: ['cellar_id', 'shelf', 'jar'],
  state: z.strictObject({ grams: z.number(), isFull: z.boolean(), label }),
  reduce: (_before, { type, data }) =>
    type === 'jar.emptied' ? undefined : { grams: data.grams, isFull: data.grams > 100, label: data.label },
  open: ({ isFull }) => isFull,
});

export const contract = defineContract({
  name: 'pantry',
  families: { cellar: { id: 'cellar_id' } },
  services: { cook },
  entities: { jar },
});
