/**
 * Reads superjson: JSON, and annotations that mark the places of a Date or of undefined. This file accepts those two
 * annotations only. It refuses all others that superjson can write, above all references, since a few bytes of them make a
 * large or an endless value. The error names the annotation.
 *
 * An accepted value equals the result of `superjson.deserialize`, in time linear in the size of the input. This file looks at
 * the annotated places only; the schemas check the value.
 */
import { MAX_BATCH_EVENTS } from '../contract/draft.ts';
import { FORBIDDEN_KEYS, MAX_JSON_DEPTH } from '../contract/json.ts';
import { CourierError, cut } from '../errors.ts';

/** Annotations in one input, at most: ten for each event of the largest batch, for its dates and absent fields. */
const MAX_ANNOTATIONS = 10 * MAX_BATCH_EVENTS;

const TAKEN = 'only "Date" and "undefined" are';

type Key = string;
type Container = Record<Key, unknown>;

/**
 * Reads superjson's `{json, meta?}`; undefined for no input. The result shares parts with `raw`.
 *
 * @throws {CourierError} BAD_REQUEST naming the annotation that this file refuses or that does not fit the value.
 */
export function inputOf(raw: unknown): unknown {
  if (raw === undefined || raw === null) return undefined;
  const { json, meta } = recordOf(raw, 'input', ['json', 'meta']);
  if (meta === undefined) return json;
  if (isContainer(meta) && Object.hasOwn(meta, 'referentialEqualities')) {
    throw refusal('meta.referentialEqualities is not taken: an object or a Date that stands at several places has to be copied');
  }
  const { values, v = 0 } = recordOf(meta, 'meta', ['values', 'v']);
  if (v !== 0 && v !== 1) throw refusal('meta.v must be 0 or 1');
  return values === undefined ? json : new Annotations(v === 0).apply(json, values);
}

function recordOf(value: unknown, name: string, known: readonly string[]): Container {
  if (!isContainer(value) || Array.isArray(value))
    throw refusal(`${name} must be an object with ${known.join(' and ')}, as superjson has it`);
  for (const key in value) {
    if (!known.includes(key)) throw refusal(`${name}.${cut(key)} is not taken; ${TAKEN}`);
  }
  return value;
}

/** Walks the tree of annotations and the value together, so that neither leads deeper than the other. */
class Annotations {
  readonly #hasLegacyPaths: boolean;
  #count = 0;

  constructor(hasLegacyPaths: boolean) {
    this.#hasLegacyPaths = hasLegacyPaths;
  }

  /** A tree is `[annotation]`, which applies to the value itself, or an object of further trees by their paths below it. */
  apply(json: unknown, tree: unknown): unknown {
    const root: Container = { json };
    this.#applyTree(root, 'json', tree, 0);
    return root['json'];
  }

  #applyTree(parent: Container, key: Key, tree: unknown, depth: number): void {
    if (Array.isArray(tree)) {
      parent[key] = this.#annotated(parent[key], tree);
      return;
    }
    if (!isContainer(tree)) throw refusal('meta.values must be made of objects and lists, as superjson has it');
    for (const path in tree) {
      const [below, last, levels] = this.#follow(parent[key], path, depth);
      this.#applyTree(below, last, tree[path], levels);
    }
  }

  /** Finds the place at `path` below `value`: the object or list that holds it, its key there, and its depth. */
  #follow(value: unknown, path: string, depth: number): [holder: Container, key: Key, depth: number] {
    const keys = keysOf(path, this.#hasLegacyPaths);
    if (depth + keys.length > MAX_JSON_DEPTH) throw tooDeep();
    let holder = value;
    for (const [index, key] of keys.entries()) {
      if (!hasPlace(holder, key)) throw refusal(`meta.values names ${shown(path)}, where there is nothing`);
      if (index === keys.length - 1) return [holder, key, depth + keys.length];
      holder = holder[key];
    }
    throw new RangeError('a path has at least one key');
  }

  #annotated(value: unknown, annotation: readonly unknown[]): unknown {
    this.#count += 1;
    if (this.#count > MAX_ANNOTATIONS) throw refusal(`meta.values must have at most ${MAX_ANNOTATIONS} annotations`);
    const [type] = annotation;
    if (type !== 'Date' && type !== 'undefined') throw refusal(`the annotation ${nameOf(type)} is not taken; ${TAKEN}`);
    if (annotation.length > 1) throw refusal(`there is nothing to annotate within a value that is annotated as ${nameOf(type)}`);
    if (type === 'Date') return dateOf(value);
    if (value !== null) throw refusal('what is annotated as "undefined" must be null');
    return undefined;
  }
}

function dateOf(value: unknown): Date {
  const date = typeof value === 'string' ? new Date(value) : undefined;
  if (date === undefined || Number.isNaN(date.getTime()))
    throw refusal('what is annotated as "Date" must be a string with a date and time');
  return date;
}

/** The keys of a path, which dots separate. A backslash escapes a dot and, since version 1, a backslash. */
function keysOf(path: string, isLegacy: boolean): Key[] {
  const keys: Key[] = [];
  let key = '';
  for (let at = 0; at < path.length; at += 1) {
    const next = path[at + 1];
    if (path[at] === '.') {
      keys.push(key);
      key = '';
      if (keys.length > MAX_JSON_DEPTH) throw tooDeep();
    } else if (path[at] === '\\' && (next === '.' || (next === '\\' && !isLegacy))) {
      key += next;
      at += 1;
    } else if (path[at] === '\\' && !isLegacy) throw refusal(`meta.values names ${shown(path)}, which is no path`);
    else key += path[at];
  }
  keys.push(key);
  return keys;
}

function tooDeep(): CourierError {
  return refusal(`meta.values must not reach deeper than ${MAX_JSON_DEPTH} levels`);
}

function hasPlace(value: unknown, key: Key): value is Container {
  if (!isContainer(value) || FORBIDDEN_KEYS.has(key)) return false;
  return Object.hasOwn(value, key) && !(Array.isArray(value) && key === 'length');
}

/** Whether the value is an object or a list, whose keys are its indexes. */
function isContainer(value: unknown): value is Container {
  return typeof value === 'object' && value !== null;
}

/** A composite annotation is a list that begins with its name. */
function nameOf(type: unknown): string {
  const name: unknown = Array.isArray(type) ? type[0] : type;
  return typeof name === 'string' ? shown(name) : 'of no name';
}

function shown(text: string): string {
  return JSON.stringify(cut(text));
}

function refusal(message: string): CourierError {
  return new CourierError('BAD_REQUEST', message);
}
