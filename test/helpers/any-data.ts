/** Random data of a schema, as it arrives in plain JSON: texts are of a small pool, so that ids meet, and some of them are strange. */
import fc from 'fast-check';
import type { z } from 'zod';
import { findFault } from '../../src/contract/json.ts';

/** Ids as channels have them. */
export const IDS = ['a', 'b', 'B', '-_'] as const;
/** Texts that mean something to JavaScript, to keys or to storage. */
export const STRANGE = [
  '',
  ' ',
  '%',
  '%2F',
  '/',
  'BTC/USD',
  'BTC%2FUSD',
  '\u0000',
  'a\u001fb\u007f',
  'é',
  '😀',
  '__proto__',
  'toString',
] as const;
const DECIMALS = ['0', '-0', '0.00', '1', '12.50', '-1.5', '0.000000000000000001', '999999999999999999.999999999999999999'] as const;
const TEXTS = [...IDS, ...STRANGE, ...DECIMALS, '2000-01-03', '2024-02-29', 'too_short'];

const decimal = fc
  .tuple(fc.bigInt({ min: -(10n ** 6n), max: 10n ** 6n }), fc.nat(999))
  .map(([whole, fraction]) => `${whole}.${String(fraction).padStart(3, '0')}`);
const json = fc.jsonValue({ maxDepth: 2 }).filter((value) => findFault(value) === undefined);

/** @throws {TypeError} of a kind of schema that it does not know */
export function anyData(schema: z.ZodType): fc.Arbitrary<unknown> {
  return anyOf(schema).map((value) => JSON.parse(JSON.stringify(value)) as unknown);
}

function anyOf(schema: z.ZodType): fc.Arbitrary<unknown> {
  const takes = (value: unknown) => schema.safeParse(value).success;
  switch (schema.def.type) {
    case 'string': {
      const known = TEXTS.filter(takes);
      const some = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...known.slice(0, 2)) }, fc.constantFrom(...known));
      const isDecimal = known.includes('12.50') && !takes('a');
      return isDecimal ? fc.oneof(fc.constantFrom(...known), decimal.filter(takes)) : some;
    }
    case 'number':
      return fc.oneof(fc.constantFrom(0, 1, 0.5, 12), fc.nat(1000), fc.double({ min: 0, max: 1, noNaN: true })).filter(takes);
    case 'boolean':
      return fc.boolean();
    case 'enum':
      return fc.constantFrom(...(schema as z.ZodEnum).options);
    case 'unknown':
      return json;
    case 'optional':
      return anyOf((schema as z.ZodOptional<z.ZodType>).unwrap());
    case 'array':
      return fc.array(anyOf((schema as z.ZodArray<z.ZodType>).element), { maxLength: 3 });
    case 'record': {
      const { keyType, valueType } = schema as z.ZodRecord<z.ZodString, z.ZodType>;
      const key = fc.constantFrom('x', 'y', '1', 'é').filter((text) => keyType.safeParse(text).success);
      return fc.dictionary(key, anyOf(valueType), { maxKeys: 3, noNullPrototype: true });
    }
    case 'object': {
      const shape = Object.entries((schema as z.ZodObject).shape as Record<string, z.ZodType>);
      const needed = shape.filter(([, field]) => field.def.type !== 'optional').map(([name]) => name);
      return fc.record(Object.fromEntries(shape.map(([name, field]) => [name, anyOf(field)])), {
        requiredKeys: needed,
        noNullPrototype: true,
      });
    }
    default:
      throw new TypeError(`no data of kind ${schema.def.type}`);
  }
}
