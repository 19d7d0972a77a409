/** Parts of requests that proxies, browsers and attackers send: tokens, headers, channels and addresses of odd forms. */
import { CHANNEL } from './messages.ts';
import { pick, type Random, times, upTo } from './random.ts';
import { GOOD_PLACE } from './tokens.ts';

const HEADER_OF_NONE = Buffer.from('{"alg":"none"}').toString('base64url');
const CLAIMS = Buffer.from('{"sub":"fuzz","role":"admin","aud":"courier","exp":9999999999}').toString('base64url');

/** Never one that is let in. */
export function oddToken(random: Random): string {
  return pick(random, [
    () => '',
    () => 'x',
    () => '..',
    () => `${HEADER_OF_NONE}.${CLAIMS}.`,
    () => `${HEADER_OF_NONE}.${CLAIMS}.AAAA`,
    () => `${GOOD_PLACE}A`,
    () => `${GOOD_PLACE}=`,
    () => `${GOOD_PLACE}.${GOOD_PLACE}`,
    () => `.${GOOD_PLACE}`,
    () => `Bearer%20${GOOD_PLACE}`,
    () => 'a'.repeat(upTo(random, 9000)),
    () => `${'a'.repeat(upTo(random, 4000))}.${'b'.repeat(upTo(random, 4000))}.c`,
    () => '.'.repeat(upTo(random, 2000)),
    () => '__proto__.__proto__.__proto__',
  ])();
}

/** Some headers, perhaps none. */
export function oddHeaders(random: Random): readonly string[] {
  return times(upTo(random, 4), () => oddHeader(random));
}

const ADDRESSES = ['1.2.3.4', '::1', '[::1]:1', '_hidden', 'unknown', '256.1.1.1', '1.2.3.4:99999', 'fe80::1%eth0', '', '0x7f.1', '"'];
const LANGUAGE_OF_PROXIES = ['for=', 'by=', 'host=', 'proto=', '=', 'For="', 'for="[', ';', ',', '\\"', '"'];

function oddHeader(random: Random): string {
  const address = () => pick(random, ADDRESSES);
  return pick(random, [
    () => `X-Forwarded-For: ${times(upTo(random, 60), address).join(', ')}`,
    () => `Forwarded: ${times(upTo(random, 60), () => `for=${address()}`).join(pick(random, [',', ';', ', ']))}`,
    () => `Forwarded: ${times(upTo(random, 300), () => pick(random, [...LANGUAGE_OF_PROXIES, ...ADDRESSES])).join('')}`,
    () => `Authorization: ${pick(random, ['Bearer', 'Basic', 'bearer ', 'Bearer  ', ''])} ${oddToken(random)}`,
    () => `Authorization: Bearer${' '.repeat(upTo(random, 2000))}`,
    () => `traceparent: ${pick(random, ['00-', '00-00000000000000000000000000000000-0000000000000000-00', 'ff-a-b-c', '-'.repeat(500)])}`,
    () => 'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    () => `X-Request-Id: ${pick(random, ['a\tb', 'a'.repeat(1 + upTo(random, 300)), '{}', '\u00e9'])}`,
    () => `X-Event-Type: ${pick(random, ['forge.job.started', '__proto__', ''])}`,
    () => `Idempotency-Key: ${pick(random, ['k', 'k'.repeat(200), ' ', '__proto__'])}`,
    () => `X-Correlation-Id: ${pick(random, ['\u00e9\u00e9', 'a b', 'c'])}`,
    () => `X-Causation-Id: ${pick(random, ['\u00e9', 'a b', oddPosition(random)])}`,
    () => `Last-Event-Id: ${oddPosition(random)}`,
    () => `Origin: ${pick(random, ['null', 'http://localhost', 'http://localhost.', 'http://', 'x', '//localhost'])}`,
    () => `X-Courier-Client: ${pick(random, ['a', 'a/1', 'x'.repeat(upTo(random, 500))])}`,
    () => `Accept: ${pick(random, ['text/event-stream', 'application/jsonl', '*/*', ''])}`,
    () => `trpc-accept: ${pick(random, ['application/jsonl', 'application/json', 'x'])}`,
    () => `Cookie: ${'a=b; '.repeat(upTo(random, 500))}`,
    () => `X-${'a'.repeat(upTo(random, 200))}: b`,
  ])();
}

const POSITIONS = ['-', 'a-1', '-1', 'a-', 'a-9007199254740993', 'a--1', 'a-1e9', 'a-01', '', '%00', 'a-'.repeat(500)];

function oddPosition(random: Random): string {
  return pick(random, POSITIONS);
}

const CHANNELS = [
  CHANNEL,
  'global',
  'user.*',
  '**',
  '*',
  '*.*',
  'forge.**',
  '**.**.**.**.**',
  'forge.job',
  '.',
  '',
  'user.',
  'user.%00',
  'user.%F0%9F%98%80',
  '%ff',
  '%',
  'user%2Efuzz',
  'user.fuzz%2Cglobal',
  '__proto__',
  'user.__proto__',
];

export function oddChannels(random: Random): string {
  return pick(random, [
    () => pick(random, CHANNELS),
    () => times(upTo(random, 5), () => pick(random, CHANNELS)).join(','),
    () => times(upTo(random, 150), () => pick(random, CHANNELS)).join(','),
    () => '**.'.repeat(upTo(random, 90)),
    () => `user.${'a'.repeat(upTo(random, 300))}`,
  ])();
}

/** Channels, and a query that is of the right form or not. */
export function oddQuery(random: Random): string {
  const pair = () =>
    pick(random, [
      () => `last_event_id=${oddPosition(random)}`,
      () => `from=${pick(random, ['now', 'earliest', 'then', ''])}`,
      () => `types=${pick(random, ['forge.job.started', 'x', '', ',', 'forge.job.started,'.repeat(30)])}`,
      () => `token=${random() < 0.5 ? GOOD_PLACE : oddToken(random)}`,
      () => `after=${oddPosition(random)}`,
      () => `limit=${pick(random, ['1', '0', '-1', '1e3', 'NaN', '5'])}`,
      () => pick(random, ['%', '=', '&&', 'a=b', '__proto__=1', '?', 'token', 'types=%ff']),
    ])();
  return `${oddChannels(random)}?token=${GOOD_PLACE}&${times(upTo(random, 4), pair).join('&')}`;
}
