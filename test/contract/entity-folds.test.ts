/** What tells one reducer from another: the states that it makes, not how it is written. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineContract, defineEntity, defineService } from '../../src/contract/define.ts';
import type { EntityDefinition } from '../../src/contract/definition.ts';
import type { Entity } from '../../src/contract/entities.ts';
import { foldsOf } from '../../src/contract/entity-folds.ts';
import { id } from '../../src/contract/fields.ts';
import { contract as lumiere } from '../helpers/lumiere.ts';

const lamps = defineService({
  events: {
    'lamp.lit': {
      on: ['lamp'],
      description: 'A lamp was lit.',
      data: z.strictObject({ lamp_id: id, watts: z.int() }),
      examples: [{ lamp_id: 'l1', watts: 40 }],
    },
    'lamp.dimmed': {
      on: ['lamp'],
      description: 'A lamp was dimmed.',
      data: z.strictObject({ lamp_id: id }),
      examples: [{ lamp_id: 'l1' }],
    },
    'lamp.broken': { on: ['lamp'], description: 'A lamp is broken.', data: z.strictObject({ lamp_id: id }), examples: [{ lamp_id: 'l1' }] },
  },
});
const state = z.strictObject({ watts: z.int(), lit: z.int(), since: z.string().optional() });
const lamp = defineEntity({
  description: 'A lamp.',
  of: [lamps],
  types: ['lamp.lit', 'lamp.dimmed', 'lamp.broken'],
  key: ['lamp_id'],
  state,
  open: ({ watts }) => watts > 0,
  reduce: (before, { type, data }) => {
    if (type === 'lamp.broken') return undefined;
    if (type === 'lamp.lit') return { watts: data.watts, lit: (before?.lit ?? 0) + 1 };
    return before === undefined ? undefined : { ...before, watts: Math.floor(before.watts / 2) };
  },
});

type Event = { readonly type: string; readonly data: { readonly watts: number }; readonly metadata: { readonly timestamp: string } };
type Lamp = { readonly watts: number; readonly lit: number; readonly since?: string };

function folds(
  change: Partial<Record<'reduce' | 'open', (...args: never[]) => unknown>> & Partial<Pick<EntityDefinition, 'description' | 'version'>>,
) {
  const contract = defineContract({
    name: 'house',
    families: { lamp: { id: 'lamp_id' } },
    services: { lamps },
    entities: { lamp: { ...lamp, ...change } as EntityDefinition },
  });
  return foldsOf(contract, contract.entities.get('lamp') as Entity);
}

const same = folds({});

test('it is a short text, and the same every time', () => {
  expect(same).toMatch(/^[0-9a-f]{16}$/);
  expect(folds({})).toBe(same);
  for (const entity of lumiere.entities.values()) expect(foldsOf(lumiere, entity)).toBe(foldsOf(lumiere, entity));
  const all = [...lumiere.entities.values()].map((entity) => foldsOf(lumiere, entity));
  expect(new Set(all).size).toBe(all.length);
});

describe('a reducer that makes the same is the same:', () => {
  test.each<[what: string, change: Parameters<typeof folds>[0]]>([
    [
      'written otherwise',
      {
        reduce: (before: Lamp | undefined, { type, data }: Event) => {
          switch (type) {
            // The fields in another order, and one of them absent in other words.
            case 'lamp.lit':
              return { lit: before === undefined ? 1 : before.lit + 1, since: undefined, watts: data.watts };
            case 'lamp.dimmed':
              return before && { lit: before.lit, watts: (before.watts - (before.watts % 2)) / 2 };
            default:
              return undefined;
          }
        },
      },
    ],
    ['open in other words', { open: ({ watts }: Lamp) => !(watts <= 0) }],
    ['another description and version', { description: 'A lamp, or a candle.', version: 2 }],
  ])('%s', (_what, change) => expect(folds(change)).toBe(same));
});

describe('one that makes another state is another:', () => {
  const reduce = lamp.reduce as unknown as (before: Lamp | undefined, event: Event) => Lamp | undefined;
  test.each<[what: string, change: Parameters<typeof folds>[0]]>([
    [
      'of the first event',
      { reduce: (before: Lamp | undefined, event: Event) => (before === undefined ? undefined : reduce(before, event)) },
    ],
    [
      'of one type',
      { reduce: (before: Lamp | undefined, event: Event) => (event.type === 'lamp.dimmed' ? before : reduce(before, event)) },
    ],
    [
      'of the third event only',
      {
        reduce: (before: Lamp | undefined, event: Event) => {
          const made = reduce(before, event);
          return made?.lit === 3 ? { ...made, lit: 4 } : made;
        },
      },
    ],
    [
      'of the time of an event',
      {
        reduce: (before: Lamp | undefined, event: Event) => {
          const made = reduce(before, event);
          return made && { ...made, since: event.metadata.timestamp };
        },
      },
    ],
    [
      'where it was gone',
      { reduce: (before: Lamp | undefined, event: Event) => (event.type === 'lamp.broken' ? before : reduce(before, event)) },
    ],
    ['that fails', { reduce: () => ({ watts: 'x' }) }],
    ['which is not open', { open: ({ watts }: Lamp) => watts > 20 }],
  ])('%s', (_what, change) => expect(folds(change)).not.toBe(same));
});

test('however many types there are, a few events of each are folded', () => {
  let calls = 0;
  const many = (count: number) => {
    const events = Object.fromEntries(
      Array.from({ length: count }, (_, index) => [
        `thing.t${index}`,
        { on: ['thing'], description: 'It happened.', data: z.strictObject({ thing_id: id }), examples: [{ thing_id: 't' }] } as const,
      ]),
    );
    const service = defineService({ events });
    const contract = defineContract({
      name: 'many',
      families: { thing: { id: 'thing_id' } },
      services: { service },
      entities: {
        thing: {
          description: 'A thing.',
          types: Object.keys(events) as [string, ...string[]],
          key: ['thing_id'],
          state: z.strictObject({ n: z.int() }),
          open: () => true,
          reduce: (before: { n: number } | undefined) => {
            calls += 1;
            return { n: (before?.n ?? 0) + 1 };
          },
        } as EntityDefinition,
      },
    });
    calls = 0;
    foldsOf(contract, contract.entities.get('thing') as Entity);
    return calls;
  };
  // Sequences of three, two and one, as many as there are.
  expect(many(1)).toBe(1 + 1 + 1);
  expect(many(10)).toBe(10 + 100 + 1000);
  expect(many(11)).toBe(11 + 121);
  expect(many(31)).toBe(31 + 961);
  expect(many(40)).toBe(40);
  expect(many(200)).toBe(200);
});
