/** What may stand in an event's data: plain JSON, not too deep, without the keys that confuse JavaScript receivers. */

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Levels of nesting in an event's data, at most. */
export const MAX_JSON_DEPTH = 64;
/** Bytes of an event's data as JSON in UTF-8, at most: 100 KiB. */
export const MAX_DATA_BYTES = 100 * 1024;

/** Keys that name a JavaScript object's own machinery. Subscribers' deserialisers refuse or misread them. */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** What is wrong with a value, and where. */
export interface Fault {
  readonly path: (string | number)[];
  readonly message: string;
}

/** The first thing by which `value` is not plain JSON, is nested too deeply, or has a forbidden key. */
export function findFault(value: unknown, path: (string | number)[]): Fault | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined;
    case 'number':
      return Number.isFinite(value) ? undefined : { path, message: 'must be a finite number' };
    case 'object':
      break;
    default:
      return { path, message: `must be JSON, not ${typeof value}` };
  }
  if (value === null) return undefined;
  if (path.length >= MAX_JSON_DEPTH) return { path, message: `must not be nested deeper than ${MAX_JSON_DEPTH} levels` };
  if (Array.isArray(value)) return firstFault(value.entries(), path);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return { path, message: 'must be JSON, not an instance of a class' };
  const forbidden = Object.keys(value).find((key) => FORBIDDEN_KEYS.has(key));
  if (forbidden !== undefined) return { path: [...path, forbidden], message: 'is a key that is not allowed' };
  return firstFault(Object.entries(value), path);
}

function firstFault(entries: Iterable<[string | number, unknown]>, path: (string | number)[]): Fault | undefined {
  for (const [key, child] of entries) {
    const fault = findFault(child, [...path, key]);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
