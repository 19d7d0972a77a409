/** The verdict on a change of a schema agrees with what a validator says of values, whoever made the schema. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contractDocument } from '../../src/contract/document.ts';
import { EVENT_TYPES } from '../../src/contract/index.ts';
import type { JsonSchema, JsonType } from '../../src/contract/json-schema.ts';
import { schemaChanges } from '../../src/contract/schema-changes.ts';

type Validator = (value: unknown) => boolean;

const ajv = formats.default(new Ajv2020({ strict: false, ownProperties: true, addUsedSchema: false }));
const validator = (schema: JsonSchema): Validator => ajv.compile(schema);

/** As subscribers hold it: with the fields that a later Courier may add. */
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

const string = { type: 'string' } as const;
const object = (properties: Record<string, JsonSchema>, ...required: string[]): JsonSchema => ({
  type: 'object',
  properties,
  ...(required.length > 0 && { required }),
  additionalProperties: false,
});

describe('each rule, with a value that shows what breaks', () => {
  /** `refused`: by the later schema, of a publisher. `unforeseen`: by the earlier one, of a subscriber. */
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
    ['a keyword that is not known', { if: { const: 1 } }, { if: { const: 2 } }, 'changed; it says if'],
    ['anyOf with something beside it', { anyOf: [string] }, { anyOf: [string], minLength: 1 }, 'changed; it says minLength beside anyOf'],
    [
      'that within anyOf',
      { anyOf: [{ type: 'null' }, string] },
      { anyOf: [{ type: 'null' }, { ...string, anyOf: [string] }] },
      'changed; it says type beside anyOf',
    ],
    ['a required field without a schema', object({}), { required: ['a'] }, 'changed; it requires a without saying what that is'],
  ] as [string, JsonSchema, JsonSchema, string][])('%s is not judged, and so breaks both', (_name, before, after, change) => {
    expect(schemaChanges({ ...before, description: 'd' }, before)).toHaveLength(1);
    expect(schemaChanges(before, after)).toMatchObject([{ change, publishers: { breaking: true }, subscribers: { breaking: true } }]);
  });
});

describe('random changes of random schemas and of those of the contract', () => {
  const NAMES = ['a', 'b', 'c', 'constructor'];
  const STRINGS = ['', 'a', 'ab', 'abc', 'abcd', '1', '12', '12.5', '-1', '2024-01-01', 'buy', 'limit', 'a b'];
  const NUMBERS = [-1, 0, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 100];
  const bound = fc.integer({ min: 0, max: 5 });

  const { schema } = fc.letrec<{ schema: JsonSchema }>((tie) => ({
    schema: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.record(
        { type: fc.constant('string' as const), minLength: bound, pattern: fc.constantFrom('^a', '^[0-9]+$') },
        { requiredKeys: ['type'] },
      ),
      fc.record(
        { type: fc.constantFrom('number' as const, 'integer' as const), minimum: bound, exclusiveMaximum: bound },
        { requiredKeys: ['type'] },
      ),
      fc.record({ enum: fc.uniqueArray(fc.constantFrom('a', 'ab', 1, null), { minLength: 1 }) }),
      fc.constantFrom<JsonSchema>({ type: 'boolean' }, { type: 'null' }, { type: ['string', 'null'], maxLength: 2 }, { const: 'a' }, {}),
      fc.record({ type: fc.constant('array' as const), items: tie('schema'), maxItems: bound }, { requiredKeys: ['type'] }),
      fc
        .tuple(fc.dictionary(fc.constantFrom(...NAMES), tie('schema'), { noNullPrototype: true }), fc.subarray(NAMES))
        .map(([properties, names]) => object(properties, ...names.filter((name) => Object.hasOwn(properties, name)))),
      fc.record(
        {
          type: fc.constant('object' as const),
          additionalProperties: tie('schema'),
          propertyNames: fc.constant<JsonSchema>({ maxLength: 1 }),
        },
        { requiredKeys: ['type', 'additionalProperties'] },
      ),
      fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }) }),
    ),
  }));
  const drafts = contractDocument()['x-drafts'];
  const ofContract = fc.constantFrom(...EVENT_TYPES).map((type) => drafts[type]?.properties?.['data'] as JsonSchema);

  type Pick = fc.GeneratorValue;
  const oneOf = <T>(pick: Pick, ...values: readonly T[]): T => pick(() => fc.constantFrom(...values));
  const chance = (pick: Pick, percent: number) => pick(fc.integer, { min: 1, max: 100 }) <= percent;

  /** The schema with one small thing changed, in it or in a schema within. */
  function mutate(node: JsonSchema, pick: Pick): JsonSchema {
    const { properties, items, anyOf, additionalProperties } = node;
    const within: (() => JsonSchema)[] = [];
    for (const [name, field] of Object.entries(properties ?? {})) {
      within.push(() => ({ ...node, properties: { ...properties, [name]: mutate(field, pick) } }));
    }
    if (items) within.push(() => ({ ...node, items: mutate(items, pick) }));
    if (typeof additionalProperties === 'object')
      within.push(() => ({ ...node, additionalProperties: mutate(additionalProperties, pick) }));
    anyOf?.forEach((option, index) => {
      within.push(() => ({ ...node, anyOf: anyOf.with(index, mutate(option, pick)) }));
    });
    if (within.length > 0 && chance(pick, 70)) return oneOf(pick, ...within)();
    return mutateHere(node, pick);
  }

  function mutateHere(node: JsonSchema, pick: Pick): JsonSchema {
    const { properties, required = [] } = node;
    const here: (() => JsonSchema)[] = [
      () => ({ anyOf: [node, pick(() => schema)] }),
      () => ({ ...node, [oneOf(pick, ...Object.keys(node), 'minLength')]: undefined }),
      () => ({
        ...node,
        [oneOf(pick, 'minLength', 'maxLength', 'maxItems', 'minimum', 'exclusiveMinimum', 'multipleOf')]: oneOf(pick, 1, 2, 3),
      }),
      () => ({ ...node, type: oneOf<JsonType>(pick, 'string', 'number', 'integer', 'object') }),
      () => ({ ...node, pattern: oneOf(pick, '^a', '^[0-9]+$') }),
    ];
    const values = node.enum;
    if (values !== undefined) here.push(() => ({ ...node, enum: [...values, 'added'] }));
    if (values !== undefined && values.length > 1) here.push(() => ({ ...node, enum: values.slice(1) }));
    if (properties !== undefined) {
      const names = Object.keys(properties);
      const name = oneOf(pick, ...NAMES, ...names);
      const { [name]: _, ...others } = properties;
      const without = required.filter((each) => each !== name);
      here.push(
        () => ({ ...node, properties: others, required: without }),
        () => ({ ...node, properties: { ...properties, [name]: pick(() => schema) } }),
        () => ({ ...node, required: without }),
        () => (Object.hasOwn(properties, name) ? { ...node, required: [...without, name] } : node),
        () => ({ ...node, additionalProperties: oneOf<JsonSchema | boolean>(pick, {}, false, string) }),
      );
    }
    return JSON.parse(JSON.stringify(oneOf(pick, ...here)()));
  }

  /** A value that the schema may well take, and often just not. */
  function sample(node: JsonSchema, pick: Pick): unknown {
    if (chance(pick, 5)) return oneOf<unknown>(pick, ...STRINGS, ...NUMBERS, null, true, [], {});
    if ('const' in node) return node.const;
    if (node.enum !== undefined && node.enum.length > 0) return oneOf(pick, ...node.enum);
    if (node.anyOf !== undefined) return sample(oneOf(pick, ...node.anyOf), pick);
    const types = [node.type ?? (['string', 'number', 'null', 'object', 'array'] as const)].flat();
    switch (oneOf(pick, ...types)) {
      case 'string':
        return oneOf(pick, ...STRINGS);
      case 'number':
      case 'integer':
        return oneOf(pick, ...NUMBERS);
      case 'boolean':
        return chance(pick, 50);
      case 'null':
        return null;
      case 'array':
        return Array.from({ length: pick(fc.integer, { min: 0, max: 4 }) }, () => sample(node.items ?? {}, pick));
      case 'object': {
        const fields = Object.entries(node.properties ?? {}).filter(([name]) => chance(pick, node.required?.includes(name) ? 97 : 60));
        const others = node.additionalProperties === false ? [] : NAMES.filter(() => chance(pick, 30));
        const rest = typeof node.additionalProperties === 'object' ? node.additionalProperties : {};
        return Object.fromEntries(
          [...others.map((name) => [name, rest] as const), ...fields].map(([name, of]) => [name, sample(of, pick)]),
        );
      }
      default:
        return undefined;
    }
  }

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
      // Whatever drew the values cannot be made smaller in reasonable time.
      { numRuns: 1000, endOnFailure: true },
    );
    // Enough was called compatible, and enough values were taken, for this to mean something.
    expect(seen.compatible).toBeGreaterThan(200);
    expect(seen.values).toBeGreaterThan(2000);
  });
});
