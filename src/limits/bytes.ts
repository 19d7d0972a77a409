/** What things take of the process's memory, and how much each kind of them may take. */
import { getHeapStatistics } from 'node:v8';

/** V8 keeps two bytes for each UTF-16 unit of a text as soon as one of them is beyond Latin-1. */
const BYTES_PER_UNIT = 2;
/** An object with a handful of fields, and its places in collections. */
const OBJECT_BYTES = 200;

/** Bytes that an object with a text of so many UTF-16 units takes, at most. */
export function bytesInMemory(units: number): number {
  return OBJECT_BYTES + BYTES_PER_UNIT * units;
}

/** So many bytes, or what `part` of the process's heap is where that is less. */
export function upTo(bytes: number, part: number): number {
  return Math.min(bytes, Math.floor(getHeapStatistics().heap_size_limit * part));
}
