/** Writes the bounds of numbers, texts and lists as `Field(...)`. */
import type { JsonSchema } from '../../src/contract/json-schema.ts';
import { type Code, flat, list, literal } from './python-text.ts';

/** The bounds of an integer as integers, which are all that pydantic takes. */
export function wholeBounds(schema: JsonSchema): JsonSchema {
  const rounded = (name: string, round: (bound: number) => number) => {
    const bound = schema[name];
    return typeof bound === 'number' && { [name]: round(bound) };
  };
  return {
    ...schema,
    ...rounded('minimum', Math.ceil),
    ...rounded('maximum', Math.floor),
    ...rounded('exclusiveMinimum', Math.floor),
    ...rounded('exclusiveMaximum', Math.ceil),
  };
}

/** `Field(...)` of the arguments that there are; nothing when there are none. */
export function fieldCall(given: Readonly<Record<string, number | string | undefined>>): Code[] {
  const items = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${flat(literal(value))}`]));
  return items.length === 0 ? [] : [list('Field(', items, ')')];
}
