/** Requests over plain HTTP: odd targets and headers, slow and cut bodies, several at once. */
import { annotatedCall } from './annotations.ts';
import { largeCall } from './large.ts';
import { CHANNEL, draft, LATE_CHANNEL, mutated, nested, ODD, VALID, withOddValue } from './messages.ts';
import { bytesOf, pick, type Random, times, upTo } from './random.ts';
import { GOOD_PLACE } from './tokens.ts';

const PATHS = [
  '/publish',
  `/publish/${CHANNEL}`,
  '/events/user.*',
  '/events/**?limit=5',
  '/health',
  '/stats',
  '/trpc/auth.whoami',
  '/trpc/events.publish',
  '/trpc/events%2Epublish',
  '/trpc/events.history?input=%7B%7D',
  '/trpc/a,b,c?batch=1',
  '/trpc/auth.whoami,events.subscribe?batch=1',
  '/',
  '//',
  '/%',
  '/events/%ff',
  '/__proto__',
  '/trpc/__proto__.a',
  '/trpc/../health',
  '/%2e%2e/health',
  '\\health',
  'http://elsewhere/health',
  '*',
  '/ws/user.fuzz',
  '/admin/',
];
const STREAMS = [
  '/sse/user.fuzz',
  '/sse/user.*,global?from=earliest',
  '/sse/**?types=forge.job.started',
  '/sse/user.fuzz?last_event_id=a-1',
  '/sse/%ff',
  '/sse/,',
  '/sse/user.seeded?from=earliest',
  '/trpc/events.subscribe?input=%7B%22json%22%3A%7B%22channels%22%3A%5B%22user.fuzz%22%5D%7D%7D',
  '/trpc/events.subscribe?input=%7B%22json%22%3A%7B%22channels%22%3A%5B%22user.seeded%22%5D%2C%22from%22%3A%22earliest%22%7D%7D',
  '/trpc/global.onEvent?connectionParams=%7B%22token%22%3A1%7D',
  '/trpc/global.onEvent?connectionParams={',
  '/trpc/global%2EonEvent',
  '/trpc/global.onEvent?batch=1',
];
const METHODS = ['GET', 'GET', 'POST', 'POST', 'POST', 'PUT', 'OPTIONS', 'HEAD', 'DELETE', 'TRACE'];
const HEADERS = [
  'X-Request-Id: a\tb',
  'X-Event-Type: forge.job.started',
  'Idempotency-Key: k',
  'Origin: null',
  'X-Correlation-Id: ééé',
  'Last-Event-Id: -',
  'Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x',
  'Forwarded: for="[::1]:80";for=_x, for=',
  'X-Forwarded-For: 1.2.3.4, , ::1, unknown',
  'Expect: 100-continue',
  'Accept: application/jsonl',
  'trpc-accept: application/jsonl',
  'Accept-Encoding: br, gzip',
  'Access-Control-Request-Method: POST',
  'X-Courier-Client: <b>',
];
const AUTHORIZATIONS = [
  'Bearer {good}',
  'Bearer {good}',
  'Bearer {good}',
  'Bearer {good} ',
  'bearer  {good}',
  'Bearer a.b.c',
  'Basic x',
  '',
];
const TYPES = [
  'application/json',
  'application/json',
  'text/plain',
  'application/json; charset=utf-16',
  'multipart/form-data; boundary=x',
  '',
];

export function randomRequest(random: Random): Buffer {
  return Buffer.concat([bytesOf(random, 1 + upTo(random, 300)), Buffer.from('\r\n\r\n')]);
}

export function request(random: Random): Buffer {
  return head(random, { method: pick(random, METHODS), path: pick(random, PATHS), body: bodyOf(random) });
}

export function stream(random: Random): Buffer {
  return head(random, { method: pick(random, ['GET', 'GET', 'GET', 'POST', 'HEAD']), path: pick(random, STREAMS), body: '' });
}

/** Several, one behind the other, without waiting for an answer. */
export function pipelined(random: Random): Buffer {
  return Buffer.concat(times(2 + upTo(random, 10), () => (random() < 0.3 ? stream(random) : request(random))));
}

/** A publish whose body comes late, not at all, or otherwise than it was announced: nothing of it may be stored. */
export function cutBody(random: Random): Buffer[] {
  const body = draft(LATE_CHANNEL);
  const lead = `POST ${pick(random, ['/publish', '/trpc/events.publish'])} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${GOOD_PLACE}\r\nContent-Type: application/json\r\n`;
  const half = body.slice(0, 1 + upTo(random, body.length - 2));
  return pick(random, [
    () => [`${lead}Content-Length: ${body.length + 10}\r\n\r\n`, body],
    () => [`${lead}Content-Length: ${body.length}\r\n\r\n`, half],
    () => [`${lead}Content-Length: 1\r\n\r\n`, body],
    () => [`${lead}Transfer-Encoding: chunked\r\n\r\n`, `zz\r\n${body}`],
    () => [`${lead}Transfer-Encoding: chunked\r\n\r\n`, `ffff\r\n${half}`],
    () => [`${lead}Content-Length: 999999999\r\n\r\n`, body],
    () => [lead.slice(0, upTo(random, lead.length))],
  ])().map((text) => Buffer.from(text));
}

function bodyOf(random: Random): string {
  return pick(random, [
    () => '',
    () => mutated(random),
    () => withOddValue(random),
    () => pick(random, ODD),
    () => nested(random).slice(0, 50_000),
    () => pick(random, VALID).slice(60),
    () => draft(CHANNEL),
    () => `{"json":${draft(CHANNEL)}}`,
    () => annotatedCall(random).slice(60),
    () => (random() < 0.05 ? largeCall(random) : '{}'),
  ])();
}

function head(random: Random, { method, path, body }: { readonly method: string; readonly path: string; readonly body: string }): Buffer {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'Host: localhost',
    `Authorization: ${pick(random, AUTHORIZATIONS).replace('{good}', GOOD_PLACE)}`,
    `Content-Type: ${pick(random, TYPES)}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...times(upTo(random, 3), () => pick(random, HEADERS)),
    'Connection: close',
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
}
