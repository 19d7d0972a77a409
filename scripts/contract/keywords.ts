/** Reads a schema keyword by keyword. A keyword outside the contract's part of JSON Schema must be refused, never skipped. */
import type { JsonSchema, JsonType } from '../../src/contract/json-schema.ts';

const KEYWORDS: ReadonlySet<string> = new Set([
  'title',
  'description',
  'type',
  'const',
  'enum',
  'anyOf',
  'minLength',
  'maxLength',
  'pattern',
  'format',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'items',
  'minItems',
  'maxItems',
  'properties',
  'required',
  'additionalProperties',
  'propertyNames',
]);

/** The first keyword of `schema` itself that is not of that part, if there is one. */
export function strangeKeyword(schema: JsonSchema): string | undefined {
  return Object.keys(schema).find((keyword) => !KEYWORDS.has(keyword));
}

/** The types that `schema` names; undefined when it names none and so takes all. */
export function typesOf({ type }: JsonSchema): readonly JsonType[] | undefined {
  return typeof type === 'string' ? [type] : type;
}

/** The only values that `schema` takes, whether it lists them or has one; undefined when it names none. */
export function valuesOf(schema: JsonSchema): readonly unknown[] | undefined {
  return 'const' in schema ? [schema.const] : schema.enum;
}

/** What `record` itself has by `name`. Names come from contracts, and may be those of an object's own machinery. */
export function own<T>(record: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;
}
