/** Inputs for the fuzzer: each follows from its seed alone, so that whatever broke something can be made again. */

export type Surface = 'trpc-websocket' | 'plain-websocket' | 'http';

export interface Input {
  readonly surface: Surface;
  /** What kind of input it is, for the report. */
  readonly kind: string;
  /** Written to the TCP connection: after the handshake of a WebSocket, or as it is. */
  readonly bytes: Buffer;
}

/** Numbers from 0 to 1 (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Random = () => number;
const upTo = (random: Random, limit: number) => Math.floor(random() * limit);
const pick = <T>(random: Random, values: readonly T[]): T => values[upTo(random, values.length)] as T;
const bytesOf = (random: Random, length: number) => Buffer.from(Array.from({ length }, () => upTo(random, 256)));

/** Values that code tends not to expect. */
const ODD: readonly string[] = [
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
const VALID: readonly string[] = [
  '{"method":"connectionParams","data":{"token":"x"}}',
  '{"id":1,"method":"query","params":{"path":"auth.whoami","input":{"json":null}}}',
  '{"id":2,"method":"subscription","params":{"path":"events.subscribe","input":{"json":{"channels":["user.fuzz"],"from":"earliest"}},"lastEventId":"a-1"}}',
  '{"id":2,"method":"subscription.stop"}',
  '{"id":3,"method":"mutation","params":{"path":"events.publish","input":{"json":{"type":"forge.job.progress","channel":"user.fuzz","data":{"job_id":"j","progress":0.5}}}}}',
  '{"id":4,"method":"mutation","params":{"path":"events.publishBatch","input":{"json":[{"type":"order.placed","channel":"user.fuzz","data":{"order_id":"o","symbol":"SPX","side":"buy","order_type":"limit","quantity":"1","limit_price":"2.5"}}]}}}',
  '{"id":5,"method":"query","params":{"path":"events.history","input":{"json":{"channels":["user.*"],"limit":5,"after":"a-1"}}}}',
  '{"id":6,"method":"mutation","params":{"path":"auth.refresh","input":{"json":{"token":"x"}}}}',
  '[{"id":7,"method":"query","params":{"path":"auth.whoami"}},{"id":8,"method":"query","params":{"path":"nothing"}}]',
  'PING',
  'PONG',
];

/** The input that belongs to `seed`. */
export function inputFrom(seed: number): Input {
  const random = randomFrom(seed);
  const surface = pick(random, ['trpc-websocket', 'trpc-websocket', 'trpc-websocket', 'plain-websocket', 'http'] as const);
  if (surface === 'http') return { surface, ...httpInput(random) };
  const [kind, bytes] = pick(random, [
    () => ['random bytes', bytesOf(random, 1 + upTo(random, 300))] as const,
    () => ['a mutated message', textFrame(random, mutated(random))] as const,
    () => ['a mutated message', textFrame(random, mutated(random))] as const,
    () => ['odd values', textFrame(random, withOddValue(random))] as const,
    () => ['odd values', textFrame(random, withOddValue(random))] as const,
    () => ['frames in pieces', inPieces(random, mutated(random))] as const,
    () => ['a binary message', frame(random, 0x82, bytesOf(random, upTo(random, 200)))] as const,
    () =>
      [
        'a huge id',
        textFrame(random, `{"id":${'9'.repeat(1 + upTo(random, 2000))},"method":"query","params":{"path":"auth.whoami"}}`),
      ] as const,
    () => ['deep nesting', textFrame(random, nested(random))] as const,
    () => ['a control frame', frame(random, 0x88 + upTo(random, 3), bytesOf(random, upTo(random, 126)))] as const,
    () => ['an odd frame', frame(random, upTo(random, 256), bytesOf(random, upTo(random, 300)))] as const,
  ])();
  return { surface, kind, bytes };
}

function mutated(random: Random): string {
  let text = pick(random, VALID);
  for (let change = 1 + upTo(random, 4); change > 0; change -= 1) {
    const at = upTo(random, text.length + 1);
    const length = upTo(random, 12);
    text = pick(random, [
      () => text.slice(0, at) + text.slice(at + length),
      () => text.slice(0, at) + text.slice(at, at + length).repeat(1 + upTo(random, 5)) + text.slice(at),
      () => text.slice(0, at) + String.fromCharCode(upTo(random, 0x10000)) + text.slice(at + 1),
      () => text.slice(0, at) + pick(random, ODD) + text.slice(at + length),
    ])();
  }
  return text;
}

/** One value of a valid message replaced by one that nobody expects there. */
function withOddValue(random: Random): string {
  const text = pick(random, VALID);
  const places = [...text.matchAll(/:("[^"]*"|[\d.]+|null|\[[^\]]*\]|\{[^{}]*\})/g)];
  if (places.length === 0) return text;
  const place = pick(random, places);
  return `${text.slice(0, place.index + 1)}${pick(random, ODD)}${text.slice(place.index + place[0].length)}`;
}

function nested(random: Random): string {
  const depth = 10 ** (1 + upTo(random, 4));
  const inner = pick(random, [
    ['[', ']'],
    ['{"a":', '}'],
  ] as const);
  const deep = `${inner[0].repeat(depth)}1${inner[1].repeat(upTo(random, 2) * depth)}`;
  return pick(random, [deep, `{"id":1,"method":"mutation","params":{"path":"events.publish","input":{"json":${deep}}}}`]);
}

function textFrame(random: Random, text: string): Buffer {
  return frame(random, 0x81, Buffer.from(text));
}

/** Masked, as a client's frames must be; now and then not. */
function frame(random: Random, first: number, payload: Buffer): Buffer {
  const masked = random() > 0.02;
  const { length } = payload;
  const header = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  header[0] = first;
  header[1] = (masked ? 0x80 : 0) | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (header.length === 4) header.writeUInt16BE(length, 2);
  if (header.length === 10) header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat(masked ? [header, Buffer.alloc(4), payload] : [header, payload]);
}

function inPieces(random: Random, text: string): Buffer {
  const payload = Buffer.from(text);
  const frames: Buffer[] = [];
  for (let start = 0; start < payload.length; ) {
    const end = Math.min(payload.length, start + 1 + upTo(random, 40));
    frames.push(frame(random, (start === 0 ? 0x01 : 0x00) | (end === payload.length ? 0x80 : 0), payload.subarray(start, end)));
    start = end;
  }
  return Buffer.concat(frames);
}

const PATHS = [
  '/publish',
  '/publish/user.fuzz',
  '/events/user.*',
  '/events/**?limit=5',
  '/health',
  '/stats',
  '/trpc/auth.whoami',
  '/trpc/events.publish',
  '/trpc/events.history?input=%7B%7D',
  '/trpc/a,b,c?batch=1',
  '/trpc/events.subscribe?input=%7B%22json%22%3A%7B%22channels%22%3A%5B%22a%22%5D%7D%7D',
  '/',
  '//',
  '/%',
  '/events/%ff',
  '/__proto__',
  '/constructor',
  '/trpc/__proto__.a',
  '/ws/user.fuzz',
];

function httpInput(random: Random): { kind: string; bytes: Buffer } {
  if (random() < 0.15)
    return { kind: 'random bytes', bytes: Buffer.concat([bytesOf(random, 1 + upTo(random, 300)), Buffer.from('\r\n\r\n')]) };
  const method = pick(random, ['GET', 'POST', 'POST', 'PUT', 'OPTIONS', 'HEAD', 'DELETE', 'TRACE']);
  const body = pick(random, [
    '',
    mutated(random),
    withOddValue(random),
    pick(random, ODD),
    nested(random).slice(0, 50_000),
    pick(random, VALID).slice(60),
  ]);
  const headers = [
    'Host: localhost',
    'Authorization: Bearer {token}',
    `Content-Type: ${pick(random, ['application/json', 'text/plain', 'application/json; charset=utf-16', ''])}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...pick(random, [
      [],
      ['X-Request-Id: a\tb'],
      ['X-Event-Type: forge.job.started'],
      ['Idempotency-Key: k'],
      ['Origin: null'],
      ['X-Correlation-Id: ééé'],
      ['Last-Event-Id: -'],
    ]),
  ];
  return {
    kind: 'a request',
    bytes: Buffer.from(`${method} ${pick(random, PATHS)} HTTP/1.1\r\n${headers.join('\r\n')}\r\nConnection: close\r\n\r\n${body}`),
  };
}
