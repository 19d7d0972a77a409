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

/** The JSON of `serialize`. That of most answers is put together here: `JSON.stringify` takes three times as long for them. */
export function serializedText(value: unknown): string {
  const dates = isPage(value) ? undefined : datesIn(value);
  if (dates === undefined) return JSON.stringify(serialize(value));
  if (dates.length === 0) return `{"json":${plainText(value)}}`;
  return `{"json":${plainText(value)},"meta":{"values":{${dates.map((path) => `"${path}":["Date"]`).join(',')}},"v":1}}`;
}

/** The JSON of dates and plain values, and of lists and objects of them whose keys are words. */
export function plainText(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Date) return `"${value.toISOString()}"`;
  if (Array.isArray(value)) return `[${value.map(plainText).join(',')}]`;
  const object = value as Record<string, unknown>;
  let text = '';
  for (const key in object) text += `${text === '' ? '' : ','}"${key}":${plainText(object[key])}`;
  return `{${text}}`;
}

const DATE: ['Date'] = ['Date'];

/** @param dates the paths of what is a date. A date's own JSON is the one that superjson gives it. */
function answer(value: unknown, dates: readonly string[]): SuperJSONResult {
  if (dates.length === 0) return { json: value as never };
  const values: Record<string, typeof DATE> = {};
  for (const path of dates) values[path] = DATE;
  return { json: value as never, meta: { values, v: 1 } };
}

/** Levels of lists and objects that are looked at. */
const MAX_LEVELS = 5;

/** The paths of the dates in objects and lists of plain values, such as receipts; undefined for anything else. */
function datesIn(value: unknown): string[] | undefined {
  const dates: string[] = [];
  // What is there twice is annotated by superjson.
  return typeof value === 'object' && value !== null && noteDates(value, '', dates, new Set(), 1) ? dates : undefined;
}

function noteDates(value: object, at: string, dates: string[], seen: Set<unknown>, level: number): boolean {
  if (level > MAX_LEVELS || !isNew(value, seen)) return false;
  if (Array.isArray(value)) return value.every((each: unknown, index) => noteDate(each, at + index, dates, seen, level));
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  const object = value as Record<string, unknown>;
  for (const key in object) {
    // Others are escaped in paths, or refused.
    if (!/^\w+$/.test(key) || FORBIDDEN_KEYS.has(key) || !noteDate(object[key], at + key, dates, seen, level)) return false;
  }
  return true;
}

/** Notes a value at a path, or what is in it. Returns false for what only superjson can write. */
function noteDate(value: unknown, path: string, dates: string[], seen: Set<unknown>, level: number): boolean {
  if (typeof value !== 'object' || value === null) return isPlain(value);
  if (!(value instanceof Date)) return noteDates(value, `${path}.`, dates, seen, level + 1);
  // JavaScript puts a key that is a number before others, and superjson annotates in that order.
  if (/(?:^|\.)\d+$/.test(path)) return false;
  dates.push(path);
  return isNew(value, seen) && !Number.isNaN(value.getTime());
}

function isNew(value: object, seen: Set<unknown>): boolean {
  return seen.size < seen.add(value).size;
}

/** Is it its own JSON? */
function isPlain(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0);
  return typeof value === 'string' || typeof value === 'boolean' || value === null;
}
