/** Texts for the fuzzer: calls that are valid, mutations of them, and values that code tends not to expect. */
import { pick, type Random, times, upTo } from './random.ts';

/** Where inputs publish what may be stored. */
export const CHANNEL = 'user.fuzz';
/** What is published here came too early, too late, or not as a whole: nothing of it may be stored. */
export const LATE_CHANNEL = 'user.late';
/** Holds events from the beginning, for those who read much. */
export const SEEDED_CHANNEL = 'user.seeded';

export const ODD: readonly string[] = [
  'null',
  'true',
  '0',
  '-0',
  '1e999',
  '-1',
  '1.5',
  '9007199254740993',
  '""',
  '"\\u0000"',
  '"\\ud800"',
  '[]',
  '{}',
  '[[]]',
  '[null]',
  '{"__proto__":{"a":1}}',
  '{"constructor":{"prototype":{"a":1}}}',
  '{"json":1}',
  '{"json":{},"meta":{"values":{"a":["Date"]}}}',
  '{"json":{"a":"x"},"meta":{"values":{"a":["map"]}}}',
  '{"json":{"a":1},"meta":{"referentialEqualities":{"a":["b"]}}}',
  '{"json":[1],"meta":{"values":[["undefined"]],"v":1}}',
  '{"json":{"channels":["**"]},"meta":{"values":{"channels.0":["regexp"]},"v":1}}',
];
export const VALID: readonly string[] = [
  '{"method":"connectionParams","data":{"token":"x"}}',
  '{"id":1,"method":"query","params":{"path":"auth.whoami","input":{"json":null}}}',
  `{"id":2,"method":"subscription","params":{"path":"events.subscribe","input":{"json":{"channels":["${CHANNEL}"],"from":"now"}},"lastEventId":"a-1"}}`,
  '{"id":2,"method":"subscription.stop"}',
  publishCall(CHANNEL),
  `{"id":4,"method":"mutation","params":{"path":"events.publishBatch","input":{"json":[{"type":"order.placed","channel":"${CHANNEL}","data":{"order_id":"o","symbol":"SPX","side":"buy","order_type":"limit","quantity":"1","limit_price":"2.5"}}]}}}`,
  `{"id":9,"method":"mutation","params":{"path":"events.publishEach","input":{"json":[null,{"type":"order.placed","channel":"${CHANNEL}","data":{"order_id":"o","symbol":"SPX","side":"buy","order_type":"limit","quantity":"1","limit_price":"2.5"}}]}}}`,
  '{"id":5,"method":"query","params":{"path":"events.history","input":{"json":{"channels":["user.*"],"limit":5,"after":"a-1"}}}}',
  '{"id":6,"method":"mutation","params":{"path":"auth.refresh","input":{"json":{"token":"x"}}}}',
  '[{"id":7,"method":"query","params":{"path":"auth.whoami"}},{"id":8,"method":"query","params":{"path":"nothing"}}]',
  'PING',
  'PONG',
];

export function call(path: string, input: string, { id = '1', method = 'mutation' } = {}): string {
  return `{"id":${id},"method":"${method}","params":{"path":"${path}","input":${input}}}`;
}

export function draft(channel: string): string {
  return `{"type":"forge.job.progress","channel":"${channel}","data":{"job_id":"j","progress":0.5}}`;
}

export function publishCall(channel: string): string {
  return call('events.publish', `{"json":${draft(channel)}}`);
}

export function mutated(random: Random, text: string = pick(random, VALID)): string {
  let result = text;
  for (let change = 1 + upTo(random, 4); change > 0; change -= 1) {
    const at = upTo(random, result.length + 1);
    const length = upTo(random, 12);
    result = pick(random, [
      () => result.slice(0, at) + result.slice(at + length),
      () => result.slice(0, at) + result.slice(at, at + length).repeat(1 + upTo(random, 5)) + result.slice(at),
      () => result.slice(0, at) + String.fromCharCode(upTo(random, 0x10000)) + result.slice(at + 1),
      () => result.slice(0, at) + pick(random, ODD) + result.slice(at + length),
    ])();
  }
  return result;
}

/** One value of a valid message replaced by one that nobody expects there. */
export function withOddValue(random: Random): string {
  const text = pick(random, VALID);
  const places = [...text.matchAll(/:("[^"]*"|[\d.]+|null|\[[^\]]*\]|\{[^{}]*\})/g)];
  if (places.length === 0) return text;
  const place = pick(random, places);
  return `${text.slice(0, place.index + 1)}${pick(random, ODD)}${text.slice(place.index + place[0].length)}`;
}

export function nested(random: Random): string {
  const depth = 10 ** (1 + upTo(random, 4));
  const [opening, closing] = pick(random, [
    ['[', ']'],
    ['{"a":', '}'],
  ] as const);
  const deep = `${opening.repeat(depth)}1${closing.repeat(upTo(random, 2) * depth)}`;
  return pick(random, [deep, call('events.publish', `{"json":${deep}}`)]);
}

/** Many tiny calls in one message. */
export function batchOfTinyCalls(random: Random, most: number): string {
  const one = pick(random, [
    (id: number) => `{"id":${id},"method":"query","params":{"path":"x"}}`,
    (id: number) => `{"id":${id},"method":"subscription.stop"}`,
    (id: number) => `{"id":${id},"method":"query","params":{"path":"auth.whoami"}}`,
    (id: number) => call('events.subscribe', '{"json":{"channels":["global"]}}', { id: String(id), method: 'subscription' }),
    () => '{"id":1,"method":"subscription","params":{"path":"global.onEvent"}}',
    (id: number) => call('events.publishBatch', '{"json":[]}', { id: String(id) }),
    (id: number) => call('events.publishEach', '{"json":[{}]}', { id: String(id) }),
    () => '{}',
    () => '1',
  ]);
  return `[${times(1 + upTo(random, most), one).join(',')}]`;
}
