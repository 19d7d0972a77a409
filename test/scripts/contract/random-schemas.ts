/** Random schemas, small random changes of them, and values that they are likely to accept. */
import fc from 'fast-check';
import type { JsonSchema, JsonType } from '../../../src/contract/json-schema.ts';
import { DOCUMENT, EVENT_TYPES } from '../../helpers/lumiere.ts';

export const string = { type: 'string' } as const;
/** An object that has these fields and no others. */
export const object = (properties: Record<string, JsonSchema>, ...required: string[]): JsonSchema => ({
  type: 'object',
  properties,
  ...(required.length > 0 && { required }),
  additionalProperties: false,
});

const NAMES = ['a', 'b', 'c', 'constructor'];
const STRINGS = ['', 'a', 'ab', 'abc', 'abcd', '1', '12', '12.5', '-1', '2024-01-01', 'buy', 'limit', 'a b'];
const NUMBERS = [-1, 0, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 100];
const bound = fc.integer({ min: 0, max: 5 });

export const { schema } = fc.letrec<{ schema: JsonSchema }>((tie) => ({
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
const drafts = DOCUMENT['x-drafts'];
/** The data of an event type, as the contract has it. */
export const ofContract = fc.constantFrom(...EVENT_TYPES).map((type) => drafts[type]?.properties?.['data'] as JsonSchema);

type Pick = fc.GeneratorValue;
export const oneOf = <T>(pick: Pick, ...values: readonly T[]): T => pick(() => fc.constantFrom(...values));
const chance = (pick: Pick, percent: number) => pick(fc.integer, { min: 1, max: 100 }) <= percent;

/** The schema with one small change, in it or in a schema within. */
export function mutate(node: JsonSchema, pick: Pick): JsonSchema {
  const { properties, items, anyOf, additionalProperties } = node;
  const within: (() => JsonSchema)[] = [];
  for (const [name, field] of Object.entries(properties ?? {})) {
    within.push(() => ({ ...node, properties: { ...properties, [name]: mutate(field, pick) } }));
  }
  if (items) within.push(() => ({ ...node, items: mutate(items, pick) }));
  if (typeof additionalProperties === 'object') within.push(() => ({ ...node, additionalProperties: mutate(additionalProperties, pick) }));
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

/** A value that the schema is likely to accept, or to refuse for one detail. */
export function sample(node: JsonSchema, pick: Pick): unknown {
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
      return Object.fromEntries([...others.map((name) => [name, rest] as const), ...fields].map(([name, of]) => [name, sample(of, pick)]));
    }
    default:
      return undefined;
  }
}
