/** A schema as a list of fields, described in words. */
import type { JsonSchema } from '../../../../../src/contract/json-schema.ts';
import { count } from '../../parts/format.ts';

export interface Field {
  /** The path below the data: `metrics.trades`; `symbols[]` for the elements of a list. */
  readonly path: string;
  readonly type: string;
  readonly isRequired: boolean;
  readonly constraints: readonly string[];
  readonly description: string | undefined;
}

/** The fields of an object, each followed by those in it. */
export function fieldsOf({ properties = {}, required = [] }: JsonSchema, within = ''): Field[] {
  return Object.entries(properties).flatMap(([name, schema]) => fieldAndPartsOf(`${within}${name}`, schema, required.includes(name)));
}

function fieldAndPartsOf(path: string, schema: JsonSchema, isRequired: boolean): Field[] {
  const field = { path, type: typeOf(schema), isRequired, constraints: constraintsOf(schema), description: schema.description };
  // That of a tuple is false.
  if (typeof schema.items !== 'object') return [field, ...fieldsOf(schema, `${path}.`)];
  return [field, ...fieldAndPartsOf(`${path}[]`, schema.items, true)];
}

function typeOf({ type, anyOf, oneOf = anyOf, format, properties }: JsonSchema): string {
  if (oneOf !== undefined) return [...new Set(oneOf.map(typeOf))].join(' or ');
  if (type === undefined) return 'any JSON';
  if (type === 'object' && properties === undefined) return 'object of any keys';
  return `${[type].flat().join(' or ')}${format === undefined ? '' : ` (${format})`}`;
}

/** The limits of the values. A format replaces its longer pattern. */
function constraintsOf(schema: JsonSchema): string[] {
  const { enum: values, const: only, pattern, format, minimum, maximum, minLength, maxLength, minItems, maxItems } = schema;
  const greatest = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  return [
    only === undefined ? undefined : `always ${JSON.stringify(only)}`,
    values === undefined ? undefined : `one of ${values.map((value) => JSON.stringify(value)).join(', ')}`,
    range(minimum, greatest, ''),
    range(minLength, maxLength, ' characters'),
    range(minItems, maxItems, ' of them'),
    pattern === undefined || format !== undefined ? undefined : `matches ${pattern}`,
  ].filter((constraint) => constraint !== undefined);
}

function range(least: number | undefined, most: number | undefined, unit: string): string | undefined {
  if (least === undefined) return most === undefined ? undefined : `at most ${count(most)}${unit}`;
  return most === undefined ? `at least ${count(least)}${unit}` : `${count(least)} to ${count(most)}${unit}`;
}
