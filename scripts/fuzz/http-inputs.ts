/** Inputs for HTTP: requests, their targets and bodies, and streams of server-sent events. */
import { annotatedInput } from './annotations.ts';
import { greedyTarget, largeRequest } from './large.ts';
import { CHANNEL, draft, LATE_CHANNEL, mutated, nested, ODD, VALID, withOddValue } from './messages.ts';
import { oddHeaders, oddQuery, oddToken } from './odd-requests.ts';
import { bytesOf, pick, type Random, times, upTo } from './random.ts';
import { ANSWERED, type Kind, type Step, write } from './steps.ts';
import { GOOD_PLACE } from './tokens.ts';

const SIGNED = `Authorization: Bearer ${GOOD_PLACE}`;
const JSON_TYPE = 'Content-Type: application/json';

interface Request {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly body?: string;
}

/** As it stands: what a body needs of headers is the caller's to say. */
function request({ method, target, headers, body = '' }: Request): Buffer {
  const head = [`${method} ${target} HTTP/1.1`, 'Host: localhost', ...headers].join('\r\n');
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), Buffer.from(body)]);
}

function withBody(target: string, body: string, headers: readonly string[]): Buffer {
  return request({ method: 'POST', target, headers: [...headers, `Content-Length: ${Buffer.byteLength(body)}`], body });
}

const TARGETS = [
  '/publish',
  `/publish/${CHANNEL}`,
  '/events/user.*',
  '/events/**?limit=5',
  '/health',
  '/stats',
  '/metrics',
  '/contract.json',
  '/admin/',
  '/admin/nothing.js',
  '/trpc/auth.whoami',
  '/trpc/events.publish',
  '/trpc/events.publishBatch',
  '/trpc/events.publishEach',
  '/trpc/events.history?input=%7B%7D',
  '/trpc/a,b,c?batch=1',
  '/trpc/auth.whoami,auth.whoami?batch=1&input=%7B%220%22%3A%7B%22json%22%3Anull%7D%7D',
  `/trpc/${'auth.whoami,'.repeat(120)}?batch=1`,
  '/trpc/__proto__.a',
  '/trpc/',
  '/__proto__',
  '/constructor',
  '/ws/user.fuzz',
];
const PARTS = [
  '/',
  '//',
  '.',
  '..',
  '%',
  '%2e',
  '%2f',
  '%00',
  '\\',
  '#',
  '?',
  ';',
  '@',
  ':',
  'admin',
  'publish',
  'trpc',
  'user.fuzz',
  'sse',
  '*',
  '~',
];
const PREFIXES = ['/', '', 'http://localhost/', 'HTTP://localhost:1', 'ws://[::1]/', 'ftp://x/', 'http://a@b/', 'localhost:80', '*', '//'];
const METHODS = ['GET', 'POST', 'POST', 'PUT', 'OPTIONS', 'HEAD', 'DELETE', 'TRACE', 'CONNECT', 'PATCH'];

function oddTarget(random: Random): string {
  return pick(random, PREFIXES) + times(upTo(random, 6), () => pick(random, PARTS)).join('');
}

function aBody(random: Random): string {
  return pick(random, [
    () => '',
    () => mutated(random),
    () => withOddValue(random),
    () => mutated(random, draft(CHANNEL)),
    () => draft(CHANNEL),
    () => annotatedInput(random),
    () => pick(random, ODD),
    () => nested(random).slice(0, 50_000),
    () => pick(random, VALID).slice(60),
  ])();
}

function aRequest(random: Random): Buffer {
  const type = `Content-Type: ${pick(random, ['application/json', 'application/json', 'text/plain', 'application/json; charset=utf-16', ''])}`;
  const body = aBody(random);
  const headers = [SIGNED, type, `Content-Length: ${Buffer.byteLength(body)}`, ...oddHeaders(random)];
  return request({ method: pick(random, METHODS), target: pick(random, TARGETS), headers, body });
}

/** A publish whose body does not come as it was said to: nothing of it may be stored. */
function cutBody(random: Random): readonly Step[] {
  const body = draft(LATE_CHANNEL);
  const head = (...headers: string[]) => request({ method: 'POST', target: '/publish', headers: [SIGNED, JSON_TYPE, ...headers] });
  const chunk = `${body.length.toString(16)}\r\n${body}\r\n`;
  return pick(random, [
    () => [write(head(`Content-Length: ${body.length + 1 + upTo(random, 1000)}`), body)],
    () => [write(head(`Content-Length: ${upTo(random, body.length)}`), body)],
    () => [write(head(`Content-Length: ${body.length}`), body.slice(0, upTo(random, body.length)))],
    () => [write(head('Transfer-Encoding: chunked'), chunk)],
    () => [
      write(head('Transfer-Encoding: chunked'), chunk, pick(random, ['\r\n', 'x\r\n', '-1\r\n', 'ffffffffffffffffff\r\n', '0', '0\r\n'])),
    ],
    () => [write(head('Transfer-Encoding: chunked', `Content-Length: ${body.length}`), chunk, '0\r\n\r\n')],
    () => [write(head('Transfer-Encoding: gzip, chunked, x'), chunk)],
    () => [write(head(`Content-Length: ${body.length + 1}`, 'Expect: 100-continue')), ANSWERED, write(body)],
    () => [write(head(`Content-Length: ${pick(random, ['-1', '1e3', '0x10', '', '99999999999999999999', '1, 1'])}`), body)],
  ])();
}

/** Bytes that come one by one, or a few at a time. */
function slowly(random: Random, bytes: Buffer): readonly Step[] {
  const steps: Step[] = [];
  for (let at = 0; at < bytes.length && steps.length < 40; ) {
    const length = 1 + upTo(random, pick(random, [1, 20, 200]));
    steps.push(write(bytes.subarray(at, at + length)), { pauseMs: upTo(random, 3) });
    at += length;
  }
  return steps;
}

function slowRequest(random: Random): readonly Step[] {
  const body = draft(CHANNEL);
  const chunks = [...body].map((letter) => `1\r\n${letter}\r\n`).join('');
  return pick(random, [
    () => slowly(random, aRequest(random)),
    () => [
      write(request({ method: 'POST', target: '/publish', headers: [SIGNED, JSON_TYPE, 'Transfer-Encoding: chunked'] })),
      ...slowly(random, Buffer.from(`${chunks}0\r\n\r\n`)),
    ],
    () => [
      write(
        request({
          method: 'POST',
          target: '/publish',
          headers: [SIGNED, JSON_TYPE, `Content-Length: ${body.length}`, 'Expect: 100-continue'],
        }),
      ),
      ANSWERED,
      ...slowly(random, Buffer.from(body)),
    ],
  ])();
}

function pipelined(random: Random): readonly Step[] {
  return [write(...times(2 + upTo(random, 20), () => (random() < 0.9 ? aRequest(random) : stream(random))))];
}

function stream(random: Random): Buffer {
  const target = pick(random, [
    () => `/sse/${oddQuery(random)}`,
    () => `/sse/${oddQuery(random)}`,
    () => `/trpc/${pick(random, ['events.subscribe', 'global.onEvent', 'user.onEvent', 'forge.onJob'])}?${trpcQuery(random)}`,
    () => `/trpc/events.subscribe?${trpcQuery(random)}`,
  ])();
  return request({
    method: random() < 0.9 ? 'GET' : pick(random, METHODS),
    target,
    headers: [...(random() < 0.8 ? [SIGNED] : []), ...oddHeaders(random)],
  });
}

function trpcQuery(random: Random): string {
  const encoded = (text: string) => encodeURIComponent(text.toWellFormed());
  const input = pick(random, [
    () => '{"json":{"channels":["global"],"from":"earliest"}}',
    () => pick(random, ODD),
    () => mutated(random, '{"json":{"channels":["global"],"types":["forge.job.started"]}}'),
    () => annotatedInput(random).slice(0, 3000),
  ])();
  const params = pick(random, [`{"token":"${oddToken(random).slice(0, 3000)}"}`, ...ODD]);
  return [
    `input=${encoded(input)}`,
    ...(random() < 0.5 ? [] : [`connectionParams=${encoded(params)}`]),
    ...(random() < 0.5 ? [] : [`lastEventId=${pick(random, ['a-1', '-', ''])}`]),
  ].join('&');
}

export const HTTP_KINDS: readonly Kind[] = [
  { weight: 2, kind: 'random bytes', make: (random) => [write(bytesOf(random, 1 + upTo(random, 300)), '\r\n\r\n')] },
  { weight: 10, kind: 'a request', make: (random) => [write(aRequest(random))] },
  {
    weight: 5,
    kind: 'an odd target',
    make: (random) => [
      write(request({ method: pick(random, METHODS), target: oddTarget(random), headers: [SIGNED, ...oddHeaders(random)] })),
    ],
  },
  { weight: 5, kind: 'a cut body', make: cutBody },
  { weight: 1, kind: 'a slow request', make: slowRequest },
  { weight: 1, kind: 'requests in a row', make: pipelined },
  {
    weight: 0.1,
    kind: 'pages in one batch',
    make: (random) => [write(request({ method: 'GET', target: greedyTarget(random), headers: [SIGNED] }))],
  },
  {
    weight: 0.05,
    kind: 'a large call',
    make: (random) => {
      const { path, input } = largeRequest(random);
      return [write(withBody(`/trpc/${path}`, input, [SIGNED, JSON_TYPE]))];
    },
  },
];

export const SSE_KINDS: readonly Kind[] = [
  { weight: 10, kind: 'a stream', make: (random) => [write(stream(random))] },
  {
    weight: 0.1,
    kind: 'a reader that stops',
    make: (random) => [
      { reads: false },
      write(request({ method: 'GET', target: '/sse/user.*?from=earliest', headers: [SIGNED] })),
      { pauseMs: upTo(random, 50) },
    ],
  },
];
