/**
 * Data in a form, and as it is published. They differ in two ways: a form has empty fields for absent values, and it keeps a
 * free-form object as text while the text is not JSON yet.
 */
import type { Issue } from '@lumiere/courier-client';
import type { JsonSchema } from '../../../../../src/contract/json-schema.ts';
import { readJson } from './json-text.ts';

export type DataObject = Readonly<Record<string, unknown>>;

/** An object of any keys, a list whose elements differ, or one of several types: a form has one field for all of it. */
export function isFreeForm(schema: JsonSchema): boolean {
  const { type, properties } = schema;
  if (type === 'object') return properties === undefined;
  return type === 'array' ? elementsOf(schema) === undefined : typeof type !== 'string';
}

/** The schema of every element of a list; undefined when there is none for all, as that of a tuple is false. */
export function elementsOf({ items }: JsonSchema): JsonSchema | undefined {
  return typeof items === 'object' ? items : undefined;
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
  if (Array.isArray(value)) return value.map((item) => published(item, elementsOf(schema) ?? {}) ?? null);
  if (!isObject(value)) return value;
  const parts = Object.entries(value).flatMap(([name, shown]) => {
    const part = partOf(schema, name);
    const said = part === undefined ? shown : published(shown, part);
    const isOut = said === undefined || (part !== undefined && schema.required?.includes(name) !== true && isEmpty(said, part));
    return isOut ? [] : [[name, said] as const];
  });
  return Object.fromEntries(parts);
}

/** The data as a form of `schema` holds it: what `published` makes `value` of. A text in a free form is held as JSON. */
export function held(value: unknown, schema: JsonSchema): unknown {
  if (isFreeForm(schema)) return typeof value === 'string' ? JSON.stringify(value) : value;
  if (Array.isArray(value)) return value.map((item) => held(item, elementsOf(schema) ?? {}));
  if (!isObject(value)) return value;
  const parts = Object.entries(value).map(([name, said]) => {
    const part = partOf(schema, name);
    return [name, part === undefined ? said : held(said, part)] as const;
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
  if (Array.isArray(value)) return value.flatMap((item, index) => unreadable(item, elementsOf(schema) ?? {}, `${path}.${index}`));
  if (!isObject(value)) return [];
  return Object.entries(schema.properties ?? {}).flatMap(([name, part]) => unreadable(value[name], part, `${path}.${name}`));
}

/** The path of the first value that a form of `schema` cannot show; undefined when it can show all of `value`. */
export function misfit(value: unknown, schema: JsonSchema, path: string): string | undefined {
  if (value === undefined || isFreeForm(schema)) return undefined;
  const { type, properties, enum: values } = schema;
  if (type === 'array') {
    if (!Array.isArray(value)) return path;
    // An empty element is null.
    return firstOf(value.map((item, index) => misfit(item ?? undefined, elementsOf(schema) ?? {}, `${path}.${index}`)));
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
