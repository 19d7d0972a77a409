/** Serialises answers as superjson does. Those of most calls need not be walked for what superjson could find in them. */
import superjson, { type SuperJSONResult } from 'superjson';
import { FORBIDDEN_KEYS } from '../contract/json.ts';
import { isPage } from './event-page.ts';

export function serialize(value: unknown): SuperJSONResult {
  if (isPage(value))
    return answer(
      value,
      value.events.map((_, index) => `events.${index}.metadata.timestamp`),
    );
  const dates = datesIn(value);
  return dates === undefined ? superjson.serialize(value) : answer(value, dates);
}

const DATE: ['Date'] = ['Date'];

/** @param dates the paths of what is a date. A date's own JSON is the one that superjson gives it. */
function answer(value: unknown, dates: readonly string[]): SuperJSONResult {
  if (dates.length === 0) return { json: value as never };
  const values: Record<string, typeof DATE> = {};
  for (const path of dates) values[path] = DATE;
  return { json: value as never, meta: { values, v: 1 } };
}

/** The paths of the dates in an object of plain values, such as a receipt, or in a list of such; undefined for anything else. */
function datesIn(value: unknown): string[] | undefined {
  const dates: string[] = [];
  // What is there twice is annotated by superjson.
  const seen = new Set<unknown>();
  if (!Array.isArray(value)) return noteDates(value, '', dates, seen) ? dates : undefined;
  const isPlain = value.every((each, index) => noteDates(each, `${index}.`, dates, seen));
  return isPlain ? dates : undefined;
}

function noteDates(value: unknown, at: string, dates: string[], seen: Set<unknown>): boolean {
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype || !isNew(value, seen)) return false;
  const object = value as Record<string, unknown>;
  for (const key in object) {
    const field = object[key];
    // Others are escaped in paths, or refused.
    if (!/^\w+$/.test(key) || FORBIDDEN_KEYS.has(key)) return false;
    if (field instanceof Date && isNew(field, seen) && !Number.isNaN(field.getTime())) dates.push(at + key);
    else if (!isPlain(field)) return false;
  }
  return true;
}

function isNew(value: object, seen: Set<unknown>): boolean {
  return seen.size < seen.add(value).size;
}

/** Is it its own JSON? */
function isPlain(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0);
  return typeof value === 'string' || typeof value === 'boolean' || value === null;
}
