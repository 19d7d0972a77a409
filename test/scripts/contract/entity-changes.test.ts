/** What a change of an entity means for the states that are kept, and for who watches them. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { contractChanges, isBreaking, parseContractDocument } from '../../../scripts/contract/compatibility.ts';
import { canonicalJson } from '../../../src/contract/canonical.ts';
import { defineContract, defineEntity, defineService, earlierVersion } from '../../../src/contract/define.ts';
import type { EntityDefinition } from '../../../src/contract/definition.ts';
import { contractDocument } from '../../../src/contract/document.ts';
import { id } from '../../../src/contract/fields.ts';
import { DOCUMENT } from '../../helpers/lumiere.ts';

const lamps = defineService({
  events: {
    'lamp.lit': {
      on: ['lamp', 'room'],
      description: 'A lamp was lit.',
      data: z.strictObject({ lamp_id: id, room_id: id, watts: z.int() }),
      examples: [{ lamp_id: 'l1', room_id: 'r1', watts: 40 }],
    },
    'lamp.broken': {
      on: ['lamp'],
      description: 'A lamp is broken.',
      data: z.strictObject({ lamp_id: id, room_id: id }),
      examples: [{ lamp_id: 'l1', room_id: 'r1' }],
    },
  },
});
const lamp = defineEntity({
  description: 'A lamp.',
  of: [lamps],
  types: ['lamp.lit', 'lamp.broken'],
  key: ['lamp_id'],
  state: z.strictObject({ watts: z.int().describe('When it is lit.'), broken: z.boolean().optional() }),
  open: ({ broken = false }) => !broken,
  reduce: (before, { type, data }) => (type === 'lamp.lit' ? { watts: data.watts } : { watts: before?.watts ?? 0, broken: true }),
});

/** The contract of a house with these entities. */
const house = (entities: Readonly<Record<string, EntityDefinition>> = {}) =>
  contractDocument(
    defineContract({ name: 'house', families: { lamp: { id: 'lamp_id' }, room: { id: 'room_id' } }, services: { lamps }, entities }),
  );
type Change = { readonly [K in keyof EntityDefinition]?: EntityDefinition[K] };
const withLamp = (change: Change = {}) => house({ lamp: { ...lamp, ...change } as EntityDefinition });
const state = (shape: z.ZodRawShape) => ({ state: z.strictObject({ ...lamp.state.shape, ...shape }) as z.ZodObject });

const now = withLamp();
type Document = ReturnType<typeof house>;
const summary = (before: Document, after: Document) =>
  contractChanges(before, after).map(({ subject, path, change, publishers, subscribers, reason }) => {
    expect(subject).toBe('entity lamp');
    // Publishers do not know what is made of what they publish.
    expect(publishers).toBe('compatible');
    return [path, change, subscribers, reason];
  });
const [ok, BREAKS] = ['compatible', 'breaking'];
const KEPT = 'the states that are kept stay as they are: give it version 2';

test('the same entity has no changes', () => {
  expect(summary(now, withLamp())).toEqual([]);
  expect(contractChanges(DOCUMENT, parseContractDocument(JSON.stringify(DOCUMENT)))).toEqual([]);
  // Written otherwise it makes the same.
  expect(
    summary(now, withLamp({ reduce: ((...args: never[]) => (lamp.reduce as (...all: never[]) => object)(...args)) as never })),
  ).toEqual([]);
  expect(summary(now, withLamp({ description: 'A lamp of the house.' }))).toEqual([]);
});

test('an entity', () => {
  expect(summary(house(), now)).toEqual([[null, 'entity added', ok, 'publishers do not say it; nobody has to watch it']]);
  expect(summary(now, house())).toEqual([[null, 'entity removed', BREAKS, 'watching it is refused']]);
  expect(contractChanges(house({ constructor: lamp }), now).map(({ subject, change }) => [subject, change])).toEqual([
    ['entity constructor', 'entity removed'],
    ['entity lamp', 'entity added'],
  ]);
});

describe('without another version breaks', () => {
  test('a reducer that makes other states', () => {
    const reduce = (() => ({ watts: 1 })) as never;
    expect(summary(now, withLamp({ reduce }))).toEqual([['folds', 'its reducer makes other states of the examples', BREAKS, KEPT]]);
    expect(summary(now, withLamp({ open: () => true }))).toEqual([
      ['folds', 'its reducer makes other states of the examples', BREAKS, KEPT],
    ]);
  });

  test('another key, also the same fields in another order', () => {
    const both = withLamp({ key: ['lamp_id', 'room_id'] });
    expect(summary(now, both)).toEqual([['key', 'other fields name it', BREAKS, KEPT]]);
    expect(summary(both, withLamp({ key: ['room_id', 'lamp_id'] }))).toEqual([['key', 'other fields name it', BREAKS, KEPT]]);
  });

  test('other types', () => {
    expect(summary(now, withLamp({ types: ['lamp.lit'] }))).toEqual([
      ['folds', 'its reducer makes other states of the examples', BREAKS, KEPT],
      ['types', 'other types change it', BREAKS, KEPT],
    ]);
  });

  test('another form of its state, which also is what who watches it is told', () => {
    const FORM = ['state', 'its state has another form', BREAKS, KEPT];
    expect(summary(now, withLamp(state({ colour: z.string().optional() })))).toEqual([
      FORM,
      ['state.colour', 'optional field added', ok, 'publishers do not say it; subscribers pass over it'],
    ]);
    expect(summary(withLamp(state({ colour: z.string().optional() })), now)).toEqual([
      FORM,
      ['state.colour', 'optional field removed', ok, 'publishers do not say it; subscribers do not rely on it'],
    ]);
    expect(summary(withLamp(state({ broken: z.boolean() })), now)).toContainEqual([
      'state.broken',
      'made optional',
      BREAKS,
      'subscribers rely on it',
    ]);
    expect(summary(now, withLamp(state({ watts: z.string() })))).toContainEqual([
      'state.watts',
      'type integer → string',
      BREAKS,
      'values may come that were ruled out',
    ]);
    const within = (shape: z.ZodRawShape) => withLamp(state({ bulb: z.strictObject({ a: z.string(), ...shape }).optional() }));
    expect(summary(within({}), within({ b: z.string().optional() }))).toContainEqual([
      'state.bulb.b',
      'optional field added',
      ok,
      'publishers do not say it; subscribers pass over it',
    ]);
  });
});

test('words change no state', () => {
  expect(summary(now, withLamp(state({ watts: z.int().describe('While it is lit.') })))).toEqual([
    ['state.watts', 'description reworded', ok, 'publishers do not say it; only the wording'],
  ]);
  const reworded = withLamp({ description: 'A lamp of the house.', ...state({ watts: z.int().describe('While it is lit.') }) });
  expect(canonicalJson(reworded)).toBe(canonicalJson(now));
});

test('nor does the order in which fields and types are declared', () => {
  const { broken, watts } = lamp.state.shape;
  expect(summary(now, withLamp({ state: z.strictObject({ broken, watts }) }))).toEqual([]);
  expect(summary(now, withLamp({ types: ['lamp.broken', 'lamp.lit'] }))).toEqual([]);
});

test('a contract with another reducer has another hash, and an entity may be called as words are', () => {
  expect(canonicalJson(withLamp({ open: () => true }))).not.toBe(canonicalJson(now));
  for (const name of ['title', 'description', 'subject', 'examples']) {
    expect(canonicalJson(house({ [name]: lamp }))).not.toBe(canonicalJson(house()));
  }
});

test('families', () => {
  const everywhere = withLamp();
  const lampsOnly = withLamp({ on: ['lamp'] });
  expect(summary(lampsOnly, everywhere)).toEqual([
    ['families', 'room added', ok, 'publishers do not say it; nobody has to watch it there'],
  ]);
  expect(summary(everywhere, lampsOnly)).toEqual([['families', 'room removed', BREAKS, 'there is no state of it there any more']]);
});

describe('another version', () => {
  const migrate = (...versions: number[]) =>
    Object.fromEntries(versions.map((version) => [version, earlierVersion(z.strictObject({}), () => ({ watts: 1 }))]));
  const ANEW = 'publishers do not say it; the states are made anew, and those who watch them get them all';

  test('with the way from the one before', () => {
    expect(summary(now, withLamp({ version: 2, migrate: migrate(1) }))).toEqual([['version', 'version 1 → 2', ok, ANEW]]);
    expect(summary(withLamp({ version: 2 }), withLamp({ version: 4, migrate: migrate(1, 2) }))).toEqual([
      ['version', 'version 2 → 4', ok, ANEW],
    ]);
  });

  test('without it', () => {
    const lost = (version: number) => `without migrate.${version} what began before the log does is lost`;
    expect(summary(now, withLamp({ version: 2 }))).toEqual([['version', 'version 1 → 2', BREAKS, lost(1)]]);
    expect(summary(withLamp({ version: 2 }), withLamp({ version: 3, migrate: migrate(1) }))).toEqual([
      ['version', 'version 2 → 3', BREAKS, lost(2)],
    ]);
  });

  test('there is no way back', () => {
    expect(summary(withLamp({ version: 2, migrate: migrate(1) }), now)).toEqual([
      ['version', 'version 2 → 1', BREAKS, 'in an earlier version what began before the log does is lost'],
    ]);
  });

  test('allows another reducer, key, types and form; who watches it is told of its form all the same', () => {
    const other = withLamp({
      version: 2,
      migrate: migrate(1),
      key: ['lamp_id', 'room_id'],
      types: ['lamp.lit'],
      open: () => true,
      ...state({ colour: z.string().optional() }),
    });
    expect(summary(now, other)).toEqual([
      ['version', 'version 1 → 2', ok, ANEW],
      ['state.colour', 'optional field added', ok, 'publishers do not say it; subscribers pass over it'],
    ]);
    const narrower = withLamp({
      version: 2,
      migrate: migrate(1),
      ...state({ watts: z.string() }),
      reduce: (() => ({ watts: '1' })) as never,
    });
    expect(contractChanges(now, narrower).filter(isBreaking)).toMatchObject([{ path: 'state.watts', change: 'type integer → string' }]);
  });
});

test('what is no entity is no contract', () => {
  const { 'x-entities': entities = {}, ...rest } = now;
  expect(parseContractDocument(JSON.stringify(now))).toEqual(now);
  expect(parseContractDocument(JSON.stringify(rest))['x-entities']).toBeUndefined();
  for (const part of ['key', 'types', 'families', 'version', 'folds', 'state']) {
    const { [part]: _, ...others } = entities['lamp'] as unknown as Record<string, unknown>;
    expect(() => parseContractDocument(JSON.stringify({ ...rest, 'x-entities': { lamp: others } }))).toThrow(`x-entities.lamp.${part}: `);
  }
});
