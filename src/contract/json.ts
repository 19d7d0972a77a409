/** What may stand in an event's data: plain JSON, not too deep, without the keys that confuse JavaScript receivers. */
import { z } from 'zod';

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Levels of nesting in an event's data, at most. */
export const MAX_JSON_DEPTH = 64;
/** Bytes of an event's data as JSON in UTF-8, at most: 100 KiB. */
export const MAX_DATA_BYTES = 100 * 1024;

/** Keys that name a JavaScript object's own machinery. Subscribers' deserialisers refuse or misread them. */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Guards `schema` with a check of the raw value, before zod (which drops some of these keys silently) sees it.
 * Refused: anything that is not JSON, nesting beyond MAX_JSON_DEPTH, forbidden keys; each with its path.
 */
export function plainJson<Out, In>(schema: z.ZodType<Out, In>): z.ZodType<Out, In> {
  const guard = z.unknown().check((ctx) => {
    const fault = findFault(ctx.value, []);
    if (fault !== undefined)
      ctx.issues.push({ code: 'custom', input: ctx.value, path: fault.path, message: fault.message, continue: false });
  });
  // To the caller the guard is invisible: what goes in is still what `schema` takes.
  return guard.pipe(schema as z.ZodType<Out, unknown>) as unknown as z.ZodType<Out, In>;
}

interface Fault {
  readonly path: (string | number)[];
  readonly message: string;
}

function findFault(value: unknown, path: (string | number)[]): Fault | undefined {
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
