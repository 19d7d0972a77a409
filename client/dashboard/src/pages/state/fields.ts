/** The fields of a state that a table can show, and those that matter the most in it. */
import type { JsonSchema } from '../../../../../src/contract/json-schema.ts';

export interface ScalarField {
  readonly name: string;
  readonly kind: 'text' | 'number' | 'boolean' | 'time';
  readonly description: string | undefined;
}

/** Columns of fields, at most. */
const MAX_FIELDS = 6;

const KINDS: Readonly<Record<string, ScalarField['kind']>> = { string: 'text', number: 'number', integer: 'number', boolean: 'boolean' };

/**
 * Scalars, in the order of the schema: those that every state has before those that some have, without what the key says.
 * The first in which all have a time stays in any case: it often says when the thing has changed.
 */
export function fieldsToShow({ properties = {}, required = [] }: JsonSchema, key: readonly string[]): ScalarField[] {
  const scalars = Object.entries(properties).flatMap(([name, schema]): ScalarField[] => {
    const kind = kindOf(schema);
    return kind === undefined || key.includes(name) ? [] : [{ name, kind, description: schema.description }];
  });
  const rank = ({ name, kind }: ScalarField) => (required.includes(name) ? (kind === 'time' ? 0 : 1) : 2);
  const chosen = new Set(scalars.toSorted((a, b) => rank(a) - rank(b)).slice(0, MAX_FIELDS));
  return scalars.filter((field) => chosen.has(field));
}

/** Undefined for what is no scalar. What may be null, or is one of several scalars, is one. */
export function kindOf({ type, const: only, enum: values, anyOf, oneOf = anyOf, format }: JsonSchema): ScalarField['kind'] | undefined {
  if (oneOf !== undefined) return together(oneOf.filter((one) => one.type !== 'null').map(kindOf));
  const types = [type ?? [values ?? (only === undefined ? [] : [only])].flat().map(jsonTypeOf)].flat();
  const kind = together(types.filter((one) => one !== 'null').map((one) => KINDS[one]));
  return kind === 'text' && format === 'date-time' ? 'time' : kind;
}

function together(kinds: readonly (ScalarField['kind'] | undefined)[]): ScalarField['kind'] | undefined {
  const [first] = kinds;
  if (kinds.includes(undefined)) return undefined;
  return kinds.every((kind) => kind === first) ? first : 'text';
}

function jsonTypeOf(value: unknown): string {
  return value === null ? 'null' : typeof value;
}
