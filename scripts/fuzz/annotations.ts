/** Inputs as superjson writes them, and as it never would: every kind of annotation on every kind of place. */
import { CHANNEL, call, draft, ODD } from './messages.ts';
import { pick, type Random, times, upTo } from './random.ts';

const ANNOTATIONS = [
  '"Date"',
  '"Date"',
  '"undefined"',
  '"undefined"',
  '"bigint"',
  '"regexp"',
  '"set"',
  '"map"',
  '"Error"',
  '"URL"',
  '"number"',
  '["symbol","a"]',
  '["class","A"]',
  '["custom","a"]',
  '["typed-array","Uint8Array"]',
  '"__proto__"',
  'null',
  '1',
  '[]',
  '{}',
];
const KEYS = ['a', 'b', '0', '1', 'channels', 'data', 'metadata', 'timestamp', 'length', '__proto__', 'constructor', 'toString', ''];
/** Between two keys: a dot, or what only looks like one. */
const SEPARATORS = ['.', '.', '.', '\\\\.', '..', '\\\\\\\\'];
const VALUES = [
  draft(CHANNEL),
  `{"type":"forge.job.started","channel":"${CHANNEL}","metadata":{"timestamp":"2026-01-01T00:00:00Z"},"data":{"job_id":"j","kind":null}}`,
  '{"a":{"b":[null,"2026-01-01",{"a":null}]},"0":"x","channels":["global"]}',
  '{"channels":["global"],"types":null,"after":null}',
  '[["2026-01-01",null],null]',
  'null',
  '"2026-01-01"',
];
const PATHS = [
  'events.publish',
  'events.publishBatch',
  'events.publishEach',
  'events.history',
  'events.subscribe',
  'auth.refresh',
  'global.onEvent',
  'user.onEvent',
];
const METHODS = ['query', 'mutation', 'subscription'];

export function annotatedCall(random: Random): string {
  return call(pick(random, PATHS), annotatedInput(random), { method: pick(random, METHODS) });
}

export function annotatedInput(random: Random): string {
  return pick(random, [few, few, few, few, references, unknownKeys, many, deep])(random);
}

function few(random: Random): string {
  return input(pick(random, VALUES), `"values":${treeOf(random, 3)}${pick(random, ['', ',"v":1', ',"v":0', `,"v":${pick(random, ODD)}`])}`);
}

function input(json: string, meta: string): string {
  return `{"json":${json},"meta":{${meta}}}`;
}

/** Of annotations, at most so many levels deep. */
function treeOf(random: Random, levels: number): string {
  const annotation = pick(random, ANNOTATIONS);
  if (levels === 0) return `[${annotation}]`;
  return pick(random, [
    () => `[${annotation}]`,
    () => `[${annotation},${treeOf(random, levels - 1)}]`,
    () => branches(random, levels),
    () => branches(random, levels),
    () => pick(random, ODD),
  ])();
}

function branches(random: Random, levels: number): string {
  return `{${times(upTo(random, 4), () => `"${pathOf(random)}":${treeOf(random, levels - 1)}`).join(',')}}`;
}

function pathOf(random: Random): string {
  return times(1 + upTo(random, 4), () => pick(random, KEYS)).reduce((path, key) => path + pick(random, SEPARATORS) + key);
}

/** A value at several places, which lets a few bytes ask for much. */
function references(random: Random): string {
  const list = (count: number) => `[${times(count, () => `"${pathOf(random)}"`).join(',')}]`;
  const equalities = pick(random, [
    () => `{"a":${list(upTo(random, 200))}}`,
    () => `[${list(3)},{"a":${list(3)}}]`,
    () => `{"":["a","a.a"]}`,
    () => pick(random, ODD),
  ])();
  return input(pick(random, VALUES), `"referentialEqualities":${equalities}${pick(random, ['', ',"values":{"a":["Date"]}'])}`);
}

function unknownKeys(random: Random): string {
  const meta = times(1 + upTo(random, 5), () => `"${pick(random, [...KEYS, 'values', 'v'])}":${pick(random, ODD)}`).join(',');
  return pick(random, [
    () => input(pick(random, VALUES), meta),
    () => `{"json":${pick(random, VALUES)},${meta}}`,
    () => `{"json":${pick(random, VALUES)},"meta":${pick(random, ODD)}}`,
  ])();
}

function many(random: Random): string {
  return manyAnnotations(upTo(random, 500), pick(random, ['"Date"', '"undefined"', '"map"']));
}

/** A list of so many dates, each with an annotation. */
export function manyAnnotations(count: number, annotation = '"Date"'): string {
  const value = annotation === '"undefined"' ? 'null' : '"2026-01-01"';
  return input(
    `[${times(count, () => value).join(',')}]`,
    `"values":{${times(count, (index) => `"${index}":[${annotation}]`).join(',')}},"v":1`,
  );
}

function deep(random: Random): string {
  const depth = pick(random, [10, 63, 64, 65, 200, 2000]);
  const json = `${'{"a":'.repeat(depth)}"2026-01-01"${'}'.repeat(depth)}`;
  return pick(random, [
    () => input(json, `"values":{"${times(depth, () => 'a').join('.')}":["Date"]}`),
    () => input(json, `"values":${'{"a":'.repeat(depth)}["Date"]${'}'.repeat(depth)}`),
    () => input(json, `"values":${'["Date",'.repeat(depth)}{}${']'.repeat(depth)}`),
  ])();
}
