/** Calls as large as a message may be, of shapes that cost more than others of their size. */
import { manyAnnotations } from './annotations.ts';
import { batchOfTinyCalls, call, SEEDED_CHANNEL } from './messages.ts';
import { pick, type Random, times, upTo } from './random.ts';

/** Bytes of the largest message that is taken. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
/** Left for what stands around a shape. */
const ROOM_BYTES = 200;
const PATHS = [
  'events.publish',
  'events.publishBatch',
  'events.publishEach',
  'events.history',
  'auth.refresh',
  'auth.whoami',
  'admin.revoke',
  'nothing',
];

/** As many pieces as fit, with commas between them. */
function filled(bytes: number, piece: (index: number) => string): string {
  const pieces: string[] = [];
  for (let left = bytes; left > 0; ) {
    const next = piece(pieces.length);
    left -= next.length + 1;
    if (left >= 0) pieces.push(next);
  }
  return pieces.join(',');
}

const SHAPES: readonly ((bytes: number) => string)[] = [
  (bytes) => `{"json":{${filled(bytes, (index) => `"k${index.toString(36)}":0`)}}}`,
  (bytes) => `{"json":{${filled(bytes, (index) => `"${index * 99_991}":0`)}}}`,
  (bytes) =>
    `{"json":{"type":"forge.job.completed","channel":"user.fuzz","data":{"job_id":"j","result":{${filled(bytes, (index) => `"k${index.toString(36)}":0`)}}}}}`,
  (bytes) => `{"json":[${filled(bytes, () => '{}')}]}`,
  (bytes) => `{"json":[${filled(bytes, () => '[]')}]}`,
  (bytes) => `{"json":[${filled(bytes, () => '""')}]}`,
  (bytes) => `{"json":{"channels":[${filled(bytes, () => '""')}]}}`,
  (bytes) => `{"json":{"channels":["global"],"types":[${filled(bytes, () => '0')}]}}`,
  (bytes) => `{"json":[${filled(bytes, (index) => `{"k${index.toString(36)}":0}`)}]}`,
  (bytes) => `{"json":[${filled(bytes, () => '{"type":"order.placed"}')}]}`,
  (bytes) => `{"json":[${filled(bytes, () => '1.5e300')}]}`,
  (bytes) => `{"json":${'['.repeat(bytes / 2)}${']'.repeat(bytes / 2)}}`,
  (bytes) => `{"json":${'{"a":'.repeat(bytes / 6)}1${'}'.repeat(bytes / 6)}}`,
  (bytes) => `{"json":"${'a'.repeat(bytes)}"}`,
  (bytes) => `{"json":"${'\\u0041'.repeat(bytes / 6)}"}`,
  (bytes) => `{"json":{"token":"${'a.'.repeat(bytes / 2)}"}}`,
  (bytes) => `{"json":{"${'k'.repeat(bytes)}":1}}`,
  (bytes) => `{"json":{"channels":["${'*.'.repeat(bytes / 2)}"]}}`,
  (bytes) => `{"json":${'9'.repeat(bytes)}}`,
  (bytes) => `{${filled(bytes, (index) => `"k${index.toString(36)}":0`)}}`,
  (bytes) => `{"json":null,"meta":{"values":{${filled(bytes, (index) => `"k${index.toString(36)}":["Date"]`)}}}}`,
  (bytes) => `{"json":{"a":null},"meta":{"values":{"${'a.'.repeat(bytes / 2)}":["Date"]}}}`,
  (bytes) => `{"json":{"a":1},"meta":{"referentialEqualities":{"a":[${filled(bytes, () => '"a"')}]}}}`,
  (bytes) => manyAnnotations(Math.floor(bytes / 31)),
  (bytes) => manyAnnotations(Math.floor(bytes / 31), '"undefined"'),
];

/** What one call asks, and with what: as large as may be, or something less. */
export function largeRequest(random: Random): { readonly path: string; readonly input: string } {
  const bytes = pick(random, [MAX_MESSAGE_BYTES - ROOM_BYTES, 100_000 + upTo(random, 900_000)]);
  return { path: pick(random, PATHS), input: pick(random, SHAPES)(bytes) };
}

export function largeCall(random: Random): string {
  const { path, input } = largeRequest(random);
  return call(path, input, { method: pick(random, ['query', 'mutation']) });
}

/** A message of calls as small as may be, up to as many as fit. */
export function largeBatch(random: Random): string {
  return batchOfTinyCalls(random, pick(random, [100, 1000, 7000]));
}

/** Inputs that ask for a whole page. */
const PAGES = [
  `{"json":{"channels":["${SEEDED_CHANNEL}"],"limit":1000}}`,
  `{"json":{"channels":["${SEEDED_CHANNEL}"],"limit":1000,"order":"newest"}}`,
  `{"json":{"channels":["user.*"],"types":["forge.job.completed"],"limit":1000}}`,
];

/** Calls that ask for much. */
export function greedyCalls(random: Random): string[] {
  const subscription = `{"json":{"channels":["${SEEDED_CHANNEL}"],"from":"earliest"}}`;
  const isQuery = random() < 0.5;
  return times(1 + upTo(random, 30), (id) =>
    isQuery
      ? call('events.history', pick(random, PAGES), { id: String(id), method: 'query' })
      : call('events.subscribe', subscription, { id: String(id), method: 'subscription' }),
  );
}

/** The target of a batch over HTTP that asks for much. */
export function greedyTarget(random: Random): string {
  const count = 1 + upTo(random, 100);
  const inputs = times(count, (index) => `"${index}":${pick(random, PAGES)}`).join(',');
  return `/trpc/${times(count, () => 'events.history').join(',')}?batch=1&input=${encodeURIComponent(`{${inputs}}`)}`;
}
