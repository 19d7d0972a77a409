/** Reads a schema keyword by keyword. A keyword outside the contract's part of JSON Schema must be refused, never skipped. */
import { type JsonSchema, type JsonType, KEYWORDS } from '../../src/contract/json-schema.ts';

/** The first keyword of `schema` itself that the contract's part of JSON Schema lacks; undefined when there is none. */
export function strangeKeyword(schema: JsonSchema): string | undefined {
  return Object.keys(schema).find((keyword) => !KEYWORDS.has(keyword));
}

/** The types that `schema` names; undefined when it names none and so accepts all. */
export function typesOf({ type }: JsonSchema): readonly JsonType[] | undefined {
  return typeof type === 'string' ? [type] : type;
}

/** The values that `schema` lists in `enum` or `const`; undefined when it lists none. */
export function valuesOf(schema: JsonSchema): readonly unknown[] | undefined {
  return 'const' in schema ? [schema.const] : schema.enum;
}

/** The value at `name`, without inherited ones: a contract may use the name of a property of every object. */
export function own<T>(record: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;
}
