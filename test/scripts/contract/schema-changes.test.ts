/** The verdict on a change of a schema agrees with a validator's verdict on values, for written and for random schemas. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { schemaChanges } from '../../../scripts/contract/schema-changes.ts';
import type { JsonSchema } from '../../../src/contract/json-schema.ts';
import { mutate, object, ofContract, oneOf, sample, schema, string } from './random-schemas.ts';

type Validator = (value: unknown) => boolean;

const ajv = formats.default(new Ajv2020({ strict: false, ownProperties: true, addUsedSchema: false }));
const validator = (schema: JsonSchema): Validator => ajv.compile(schema);

/** The schema that subscribers apply: open to fields that a later Courier may add. */
function open(schema: JsonSchema): JsonSchema {
  return JSON.parse(JSON.stringify(schema), (_key, value) => {
    if (value?.additionalProperties !== false) return value;
    const { additionalProperties: _, ...rest } = value;
    return rest;
  });
}

const breaks = (before: JsonSchema, after: JsonSchema) => {
  const changes = schemaChanges(before, after);
  return {
    publishers: changes.some(({ publishers }) => publishers.breaking),
    subscribers: changes.some(({ subscribers }) => subscribers.breaking),
  };
};

describe('each rule, with a value that shows what breaks', () => {
  /** `refused`: a value that the later schema refuses from a publisher. `unforeseen`: one that the earlier schema refuses from Courier. */
  interface Case {
    readonly before: JsonSchema;
    readonly after: JsonSchema;
    readonly change: string;
    readonly path?: string;
    readonly refused?: unknown;
    readonly unforeseen?: unknown;
  }
  const cases: readonly Case[] = [
    {
      before: object({ a: string, b: string }),
      after: object({ a: string }),
      path: 'b',
      change: 'optional field removed',
      refused: { b: '' },
    },
    {
      before: object({ a: string }, 'a'),
      after: object({}),
      path: 'a',
      change: 'required field removed',
      refused: { a: '' },
      unforeseen: {},
    },
    { before: object({}), after: object({ a: string }), path: 'a', change: 'optional field added' },
    { before: object({}), after: object({ a: string }, 'a'), path: 'a', change: 'required field added', refused: {} },
    { before: object({ a: string }), after: object({ a: string }, 'a'), path: 'a', change: 'made required', refused: {} },
    { before: object({ a: string }, 'a'), after: object({ a: string }), path: 'a', change: 'made optional', unforeseen: {} },
    { before: { type: 'integer' }, after: { type: 'number' }, change: 'type integer → number', unforeseen: 0.5 },
    { before: { type: 'number' }, after: { type: 'integer' }, change: 'type number → integer', refused: 0.5 },
    { before: string, after: { type: 'number' }, change: 'type string → number', refused: '', unforeseen: 1 },
    { before: string, after: { type: ['string', 'null'] }, change: 'type string → string or null', unforeseen: null },
    { before: {}, after: string, change: 'type any → string', refused: 1 },
    { before: { enum: ['a', 'b'] }, after: { enum: ['a'] }, change: 'values removed: b', refused: 'b' },
    { before: { enum: ['a'] }, after: { enum: ['a', 'b', 1] }, change: 'values added: b, 1', unforeseen: 'b' },
    { before: { const: 'a' }, after: { enum: ['b', 'a'] }, change: 'values added: b', unforeseen: 'b' },
    { before: { ...string, enum: ['a'] }, after: string, change: 'any value, not only a', unforeseen: 'c' },
    { before: string, after: { ...string, enum: ['a'] }, change: 'only a', refused: 'c' },
    { before: { maximum: 1 }, after: { maximum: 2 }, change: 'maximum 1 → maximum 2', unforeseen: 2 },
    { before: { maximum: 2 }, after: { maximum: 1 }, change: 'maximum 2 → maximum 1', refused: 2 },
    { before: { minimum: 0 }, after: {}, change: 'minimum 0 → no minimum', unforeseen: -1 },
    { before: { minimum: 0 }, after: { exclusiveMinimum: 0 }, change: 'minimum 0 → exclusiveMinimum 0', refused: 0 },
    { before: { exclusiveMaximum: 1 }, after: { maximum: 1 }, change: 'exclusiveMaximum 1 → maximum 1', unforeseen: 1 },
    { before: { maxLength: 1 }, after: {}, change: 'maxLength 1 → no maxLength', unforeseen: 'ab' },
    { before: {}, after: { minLength: 1 }, change: 'no minLength → minLength 1', refused: '' },
    { before: { maxItems: 2 }, after: { maxItems: 1 }, change: 'maxItems 2 → maxItems 1', refused: [1, 2] },
    { before: { pattern: '^a' }, after: { pattern: '^b' }, change: 'pattern ^a → ^b', refused: 'a', unforeseen: 'b' },
    { before: { format: 'date' }, after: {}, change: 'format date → none', unforeseen: 'soon' },
    { before: {}, after: { multipleOf: 2 }, change: 'multipleOf none → 2', refused: 1 },
    { before: { items: string }, after: { items: {} }, path: '[]', change: 'type string → any', unforeseen: [1] },
    { before: { anyOf: [string, { const: 1 }] }, after: string, change: 'alternative removed: 1', refused: 1 },
    {
      before: string,
      after: { anyOf: [string, { type: 'null' }, { pattern: '^x', type: 'number' }] },
      change: 'alternative added: null',
      unforeseen: null,
    },
    {
      before: { anyOf: [string, object({ a: string })] },
      after: { anyOf: [string, object({ a: string, b: string })] },
      path: 'b',
      change: 'optional field added',
    },
    {
      before: object({ a: object({ b: { type: 'array', items: object({ c: { maximum: 1 } }) } }) }),
      after: object({ a: object({ b: { type: 'array', items: object({ c: { maximum: 2 } }) } }) }),
      path: 'a.b[].c',
      change: 'maximum 1 → maximum 2',
      unforeseen: { a: { b: [{ c: 2 }] } },
    },
    {
      before: { type: 'object', additionalProperties: { maximum: 2 } },
      after: { type: 'object', additionalProperties: { maximum: 1 } },
      path: '*',
      change: 'maximum 2 → maximum 1',
      refused: { x: 2 },
    },
    {
      before: { type: 'object', propertyNames: { maxLength: 1 } },
      after: { type: 'object' },
      path: '* (name)',
      change: 'maxLength 1 → no maxLength',
      unforeseen: { xx: 1 },
    },
    { before: object({}), after: { type: 'object', additionalProperties: {} }, path: '*', change: 'fields of any name added' },
    {
      before: { type: 'object', additionalProperties: {} },
      after: object({}),
      path: '*',
      change: 'fields of any name removed',
      refused: { x: 1 },
    },
    {
      before: { type: 'object', additionalProperties: {} },
      after: { type: 'object', additionalProperties: {}, properties: { a: string } },
      path: 'a',
      change: 'type any → string',
      refused: { a: 1 },
    },
    {
      before: { type: 'object', additionalProperties: {}, properties: { a: { type: 'number' } } },
      after: { type: 'object', additionalProperties: {} },
      path: 'a',
      change: 'type number → any',
      unforeseen: { a: '' },
    },
    { before: { description: 'a' }, after: { description: 'b' }, change: 'description reworded' },
  ];

  test.each(cases)('$change', ({ before, after, change, path = '', refused, unforeseen }) => {
    const found = schemaChanges(before, after).find((each) => each.change === change);
    expect(found?.path).toBe(path);
    expect(found?.publishers.breaking).toBe(refused !== undefined);
    expect(found?.subscribers.breaking).toBe(unforeseen !== undefined);
    if (refused !== undefined) expect([validator(before)(refused), validator(after)(refused)]).toEqual([true, false]);
    if (unforeseen !== undefined) expect([validator(after)(unforeseen), validator(open(before))(unforeseen)]).toEqual([true, false]);
  });

  test('a bound that another one makes idle is no change', () => {
    expect(schemaChanges({ minimum: 1, exclusiveMinimum: 0, minLength: 0 }, { minimum: 1 })).toEqual([]);
  });

  test('order and equal wording are no change', () => {
    const before = { ...object({ a: string, b: { enum: [1, 2] } }, 'a', 'b'), title: 't' };
    const after = { ...object({ b: { enum: [2, 1] }, a: { ...string } }, 'b', 'a'), title: 't' };
    expect(schemaChanges(before, after)).toEqual([]);
  });

  test.each([
    ['a keyword that is not known', { if: { const: 1 } }, { if: { const: 2 } }, 'it says if'],
    ['anyOf with something beside it', { anyOf: [string] }, { anyOf: [string], minLength: 1 }, 'it says minLength beside anyOf'],
    [
      'that within anyOf',
      { anyOf: [{ type: 'null' }, string] },
      { anyOf: [{ type: 'null' }, { ...string, anyOf: [string] }] },
      'it says type beside anyOf',
    ],
    ['a required field without a schema', object({}), { required: ['a'] }, 'it requires a without saying what that is'],
  ] as [string, JsonSchema, JsonSchema, string][])('%s is not judged, and so breaks both', (_name, before, after, doubt) => {
    // With what tells it from other changes that are not judged.
    const change = expect.stringMatching(new RegExp(`^changed \\([0-9a-f]{8} → [0-9a-f]{8}\\); ${doubt}$`));
    expect(schemaChanges({ ...before, description: 'd' }, before)).toHaveLength(1);
    expect(schemaChanges(before, after)).toMatchObject([{ change, publishers: { breaking: true }, subscribers: { breaking: true } }]);
  });
});

describe('random changes of random schemas and of those of the contract', () => {
  test('never is a change called compatible that refuses or surprises somebody', { timeout: 120_000 }, () => {
    const seen = { compatible: 0, values: 0 };
    fc.assert(
      fc.property(fc.oneof(schema, ofContract), fc.gen(), fc.boolean(), (original, pick, reverse) => {
        let mutant = original;
        for (let changes = oneOf(pick, 1, 1, 2, 3); changes > 0; changes -= 1) mutant = mutate(mutant, pick);
        const [before, after] = reverse ? [mutant, original] : [original, mutant];
        const verdict = breaks(before, after);
        if (verdict.publishers && verdict.subscribers) return;
        seen.compatible += 1;
        const [taken, takenNow, foreseen] = [validator(before), validator(after), validator(open(before))];
        for (let count = 0; count < 20; count += 1) {
          const value = sample(oneOf(pick, before, after), pick);
          const [was, is] = [taken(value), takenNow(value)];
          if (was || is) seen.values += 1;
          const shown = JSON.stringify({ before, after, value });
          if (!verdict.publishers && was) expect(is, shown).toBe(true);
          if (!verdict.subscribers && is) expect(foreseen(value), shown).toBe(true);
        }
      }),
      // Shrinking the generator of the values would take too long.
      { numRuns: 1000, endOnFailure: true },
    );
    // Enough changes were called compatible, and enough values accepted, for the test to mean something.
    expect(seen.compatible).toBeGreaterThan(200);
    expect(seen.values).toBeGreaterThan(2000);
  });
});
