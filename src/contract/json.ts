/**
 * Checks an event's data: it must be plain JSON, within limits of depth and size, that every receiver reads as it was meant:
 * without keys that break JavaScript receivers, numbers that doubles round, and halves of characters. The check walks a value
 * once and copies nothing. The schemas check the rest of an event.
 */

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Levels of nesting in an event's data, at most. */
export const MAX_JSON_DEPTH = 64;
/**
 * Bytes of an event's data as JSON in UTF-8, at most: 100 KiB. A value and the comma before it take at least two bytes, so the
 * data holds 51,200 values at most.
 */
export const MAX_DATA_BYTES = 100 * 1024;
/** Values in the data of all events of one call, at most: as many as a WebSocket message of 256 KiB can hold. */
export const MAX_CALL_NODES = 128 * 1024;

/** Keys with a meaning in every JavaScript object. The deserialisers of subscribers refuse or misread them. */
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** A fault in a value, and its path. */
export interface Fault {
  /** The fault's keys from the root. A key with half of a surrogate pair has U+FFFD there: not every reader can print the half. */
  readonly path: (string | number)[];
  readonly message: string;
  /** Is the value too large, rather than of the wrong form? */
  readonly tooLarge: boolean;
}

/** The number of values that one call may still bring. Each walk reduces it. */
export interface NodeBudget {
  nodes: number;
}

/** The budget of a new call. */
export function callBudget(): NodeBudget {
  return { nodes: MAX_CALL_NODES };
}

/**
 * The first fault of `value`: a part that is not plain JSON, is not exact (see `INEXACT` and `ILL_FORMED`), is nested too deeply
 * or has a forbidden key, or the size. The walk counts the least size that the JSON can have, which is cheap, so data that
 * passes may still be too large.
 */
export function findFault(value: unknown, budget: NodeBudget = callBudget(), maxBytes = MAX_DATA_BYTES): Fault | undefined {
  const walk = new Walk(budget, maxBytes);
  const message = walk.faultOf(value, 0);
  if (message === undefined) return undefined;
  const tooLarge = message === tooLargeFor(maxBytes) || message === TOO_MANY;
  return { path: tooLarge ? [] : walk.pathBack.reverse(), message, tooLarge };
}

/** Is the fault a value that JSON has no form for, which no message can carry? */
export function isNoJson({ message }: Fault): boolean {
  return message === NOT_FINITE || message.startsWith(NOT_JSON);
}

const NOT_JSON = 'must be JSON';
const NOT_FINITE = 'must be a finite number';
const tooLargeFor = (bytes: number) => `must be at most ${bytes} bytes as JSON`;
const TOO_MANY = `brings the call to more than ${MAX_CALL_NODES} values`;
const TOO_DEEP = `must not be nested deeper than ${MAX_JSON_DEPTH} levels`;
/**
 * Every double beyond 2^53 - 1 is whole, and may be another number rounded: once 9007199254740993 is parsed it is
 * 9007199254740992, and nobody can tell them apart (RFC 7493, section 2.2). So the bound is for reals such as 1e300 too, which
 * only the text of the number tells from integers; V8 shows that text to a reviver only, with which it takes 7 to 70 times as long.
 */
const INEXACT = `must be from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}: send a larger number as a string`;
/** UTF-8 cannot write a surrogate without its other half: receivers would get another text, or fail (RFC 7493, section 2.1). */
const ILL_FORMED = 'must be well-formed Unicode, without half of a surrogate pair';

class Walk {
  readonly #budget: NodeBudget;
  readonly #maxBytes: number;
  #bytes = 0;
  /** The path from the fault up to the root. The walk fills it while it returns from a fault. */
  readonly pathBack: (string | number)[] = [];

  constructor(budget: NodeBudget, maxBytes: number) {
    this.#budget = budget;
    this.#maxBytes = maxBytes;
  }

  /** The fault of `value`, which is `depth` levels below the root. */
  faultOf(value: unknown, depth: number): string | undefined {
    this.#budget.nodes -= 1;
    if (this.#budget.nodes < 0) return TOO_MANY;
    switch (typeof value) {
      case 'string':
        return this.#count(value.length + 2) ?? (value.isWellFormed() ? undefined : ILL_FORMED);
      case 'boolean':
        return this.#count(4);
      case 'number':
        if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return this.#count(1);
        return Number.isFinite(value) ? INEXACT : NOT_FINITE;
      case 'object':
        return value === null ? this.#count(4) : this.#faultWithin(value, depth);
      default:
        return `${NOT_JSON}, not ${typeof value}`;
    }
  }

  #faultWithin(value: object, depth: number): string | undefined {
    if (depth >= MAX_JSON_DEPTH) return TOO_DEEP;
    if (Array.isArray(value)) return this.#count(2) ?? this.#faultInList(value, depth + 1);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return `${NOT_JSON}, not an instance of a class`;
    return this.#count(2) ?? this.#faultInRecord(value as Readonly<Record<string, unknown>>, depth + 1);
  }

  #faultInList(list: readonly unknown[], depth: number): string | undefined {
    for (let index = 0; index < list.length; index += 1) {
      const fault = (index === 0 ? undefined : this.#count(1)) ?? this.faultOf(list[index], depth);
      if (fault !== undefined) return this.#at(index, fault);
    }
    return undefined;
  }

  #faultInRecord(record: Readonly<Record<string, unknown>>, depth: number): string | undefined {
    let comma = 0;
    for (const key in record) {
      if (FORBIDDEN_KEYS.has(key)) return this.#at(key, 'is a key that is not allowed');
      if (!key.isWellFormed()) return this.#at(key.toWellFormed(), 'is a key with half of a surrogate pair');
      const value = record[key];
      // As JSON writes it: the field is absent.
      if (value === undefined) continue;
      const fault = this.#count(comma + key.length + 3) ?? this.faultOf(value, depth);
      if (fault !== undefined) return this.#at(key, fault);
      comma = 1;
    }
    return undefined;
  }

  #count(bytes: number): string | undefined {
    this.#bytes += bytes;
    return this.#bytes > this.#maxBytes ? tooLargeFor(this.#maxBytes) : undefined;
  }

  #at(key: string | number, fault: string): string {
    this.pathBack.push(key);
    return fault;
  }
}
