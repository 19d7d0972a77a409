/**
 * What may stand in an event's data: plain JSON, not too deep, not too much, without the keys that confuse JavaScript
 * receivers. A value is walked once, without a copy of anything; what stands around the data is for the schemas.
 */

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Levels of nesting in an event's data, at most. */
export const MAX_JSON_DEPTH = 64;
/**
 * Bytes of an event's data as JSON in UTF-8, at most: 100 KiB. As each value takes two of them at least, with the comma
 * before it, there are never more than 51,200 values in it.
 */
export const MAX_DATA_BYTES = 100 * 1024;
/** Values in the data of all events of one call together, at most: as many as a WebSocket message of 256 KiB can hold. */
export const MAX_CALL_NODES = 128 * 1024;

/** Keys that name a JavaScript object's own machinery. Subscribers' deserialisers refuse or misread them. */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** What is wrong with a value, and where. */
export interface Fault {
  readonly path: (string | number)[];
  readonly message: string;
  /** Is it too large, rather than of the wrong form? */
  readonly tooLarge: boolean;
}

/** What may still come in one call. Walking uses it up. */
export interface NodeBudget {
  nodes: number;
}

/** What a call may bring, for its first event. */
export function callBudget(): NodeBudget {
  return { nodes: MAX_CALL_NODES };
}

/**
 * The first thing by which `value` is not plain JSON, is nested too deeply, has a forbidden key, or is larger than data
 * may be. The size is what its JSON takes at least: it costs nothing to count, and data that passes may still be too large.
 */
export function findFault(value: unknown, budget: NodeBudget = callBudget()): Fault | undefined {
  const walk = new Walk(budget);
  const message = walk.faultOf(value, 0);
  if (message === undefined) return undefined;
  const tooLarge = message === TOO_LARGE || message === TOO_MANY;
  return { path: tooLarge ? [] : walk.pathBack.reverse(), message, tooLarge };
}

const TOO_LARGE = `must be at most ${MAX_DATA_BYTES} bytes as JSON`;
const TOO_MANY = `brings the call to more than ${MAX_CALL_NODES} values`;
const TOO_DEEP = `must not be nested deeper than ${MAX_JSON_DEPTH} levels`;

class Walk {
  readonly #budget: NodeBudget;
  #bytes = 0;
  /** The way from the fault up to the root. Filled while the walk returns from a fault. */
  readonly pathBack: (string | number)[] = [];

  constructor(budget: NodeBudget) {
    this.#budget = budget;
  }

  /** What is wrong with `value`, which lies `depth` levels below the root. */
  faultOf(value: unknown, depth: number): string | undefined {
    this.#budget.nodes -= 1;
    if (this.#budget.nodes < 0) return TOO_MANY;
    switch (typeof value) {
      case 'string':
        return this.#count(value.length + 2);
      case 'boolean':
        return this.#count(4);
      case 'number':
        return Number.isFinite(value) ? this.#count(1) : 'must be a finite number';
      case 'object':
        return value === null ? this.#count(4) : this.#faultWithin(value, depth);
      default:
        return `must be JSON, not ${typeof value}`;
    }
  }

  #faultWithin(value: object, depth: number): string | undefined {
    if (depth >= MAX_JSON_DEPTH) return TOO_DEEP;
    if (Array.isArray(value)) return this.#count(2) ?? this.#faultInList(value, depth + 1);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return 'must be JSON, not an instance of a class';
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
      const fault = this.#count(comma + key.length + 3) ?? this.faultOf(record[key], depth);
      if (fault !== undefined) return this.#at(key, fault);
      comma = 1;
    }
    return undefined;
  }

  #count(bytes: number): string | undefined {
    this.#bytes += bytes;
    return this.#bytes > MAX_DATA_BYTES ? TOO_LARGE : undefined;
  }

  #at(key: string | number, fault: string): string {
    this.pathBack.push(key);
    return fault;
  }
}
