/**
 * Data in a form, and as it is published. They differ in two ways: a form has empty fields for absent values, and it keeps a
 * free-form object as text while the text is not JSON yet.
 */
import type { Issue } from '@lumiere/courier-client';
import type { JsonSchema } from '../../../../../src/contract/json-schema.ts';
import { readJson } from './json-text.ts';

export type DataObject = Readonly<Record<string, unknown>>;

/** An object of any keys, a list whose elements differ, or one of several forms: a form has one field for all of it. */
export function isFreeForm({ type, properties, items }: JsonSchema): boolean {
  return type === undefined || (type === 'object' && properties === undefined) || (type === 'array' && items === undefined);
}

export function isObject(value: unknown): value is DataObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The schema of the field `name` of an object of `schema`; undefined when the object has no such field. */
export function partOf({ properties = {} }: JsonSchema, name: string): JsonSchema | undefined {
  return Object.hasOwn(properties, name) ? properties[name] : undefined;
}

/** The data that a form of `schema` publishes, without empty optional fields. An empty element of a list is null. */
export function published(value: unknown, schema: JsonSchema): unknown {
  if (isFreeForm(schema)) return typeof value === 'string' ? parsed(value) : value;
  if (Array.isArray(value)) return value.map((item) => published(item, schema.items ?? {}) ?? null);
  if (!isObject(value)) return value;
  const parts = Object.entries(value).flatMap(([name, held]) => {
    const part = partOf(schema, name);
    const said = part === undefined ? held : published(held, part);
    const isOut = said === undefined || (part !== undefined && schema.required?.includes(name) !== true && isEmpty(said, part));
    return isOut ? [] : [[name, said] as const];
  });
  return Object.fromEntries(parts);
}

function parsed(text: string): unknown {
  const read = readJson(text);
  return 'fault' in read ? text : read.value;
}

/** Whether a group of fields or a list is empty. A free-form object without keys is not: the user typed it. */
function isEmpty(value: unknown, schema: JsonSchema): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && !isFreeForm(schema) && Object.keys(value).length === 0;
}

/** The free-form objects whose text is not JSON, with their paths. */
export function unreadable(value: unknown, schema: JsonSchema, path: string): Issue[] {
  if (isFreeForm(schema)) {
    const read = typeof value === 'string' ? readJson(value) : undefined;
    return read !== undefined && 'fault' in read ? [{ path, message: read.fault }] : [];
  }
  if (Array.isArray(value)) return value.flatMap((item, index) => unreadable(item, schema.items ?? {}, `${path}.${index}`));
  if (!isObject(value)) return [];
  return Object.entries(schema.properties ?? {}).flatMap(([name, part]) => unreadable(value[name], part, `${path}.${name}`));
}

/** The path of the first value that a form of `schema` cannot show; undefined when it can show all of `value`. */
export function misfit(value: unknown, schema: JsonSchema, path: string): string | undefined {
  if (value === undefined) return undefined;
  if (isFreeForm(schema)) return typeof value === 'string' ? path : undefined;
  const { type, items, properties, enum: values } = schema;
  if (type === 'array') {
    if (!Array.isArray(value)) return path;
    // An empty element is null.
    return firstOf(value.map((item, index) => misfit(item ?? undefined, items ?? {}, `${path}.${index}`)));
  }
  if (type === 'object') {
    if (!isObject(value)) return path;
    return firstOf(Object.entries(properties ?? {}).map(([name, part]) => misfit(value[name], part, `${path}.${name}`)));
  }
  const isOfType = typeof value === (type === 'integer' ? 'number' : type);
  return isOfType && (values?.includes(value) ?? true) ? undefined : path;
}

function firstOf(paths: readonly (string | undefined)[]): string | undefined {
  return paths.find((path) => path !== undefined);
}
