/** Inputs for the two kinds of WebSocket: messages and frames, in time and out of time. */
import { annotatedCall } from './annotations.ts';
import { closeFrame, frame, handshake, inPieces, oddFrame, textFrame } from './frames.ts';
import { greedyCalls, largeBatch, largeCall } from './large.ts';
import { batchOfTinyCalls, CHANNEL, LATE_CHANNEL, mutated, nested, ODD, publishCall, withOddValue } from './messages.ts';
import { oddHeaders, oddQuery, oddToken } from './odd-requests.ts';
import { bytesOf, pick, type Random, times, upTo } from './random.ts';
import { ANSWERED, ENDED, type Kind, paramsFrame, SIGNED_IN, type Step, TRPC_OPENING, write } from './steps.ts';
import { BRIEF_PLACE, GOOD_PLACE } from './tokens.ts';

const TOO_LATE = textFrame(publishCall(LATE_CHANNEL));
const PLAIN_OPENING = handshake(`/ws/${CHANNEL}?token=${GOOD_PLACE}`);

/** What is sent once somebody has signed in: in the same packet, or when the gateway has answered. */
function signedIn(random: Random, ...frames: readonly Buffer[]): readonly Step[] {
  return random() < 0.5 ? [write(SIGNED_IN, ...frames)] : [write(TRPC_OPENING), ANSWERED, write(paramsFrame(GOOD_PLACE), ...frames)];
}

const text = (random: Random, message: string) => oddFrame(random, 0x81, Buffer.from(message));

/** Frames of any form, for whoever reads them. */
const ANY_FRAMES: readonly ((random: Random) => Buffer)[] = [
  (random) => bytesOf(random, 1 + upTo(random, 300)),
  (random) => oddFrame(random, 0x82, bytesOf(random, upTo(random, 200))),
  (random) => oddFrame(random, 0x88 + upTo(random, 3), bytesOf(random, upTo(random, 126))),
  (random) => oddFrame(random, upTo(random, 256), bytesOf(random, upTo(random, 300))),
];

/** Frames in numbers that each ask for an answer, or for nothing. */
function flood(random: Random): Buffer {
  const one = pick(random, [
    () => textFrame('PING'),
    () => textFrame('PONG'),
    () => frame(0x89, Buffer.alloc(upTo(random, 126))),
    () => frame(0x8a, Buffer.alloc(0)),
    () => textFrame(''),
    () => textFrame('{}'),
    () => Buffer.concat([frame(0x01, Buffer.alloc(0)), ...times(upTo(random, 50), () => frame(0x00, Buffer.alloc(0)))]),
  ]);
  return Buffer.concat(times(1 + upTo(random, 300), one));
}

function beforeSignIn(random: Random): readonly Step[] {
  return pick(random, [
    // Taken as the parameters, which they are not.
    () => [write(TRPC_OPENING, TOO_LATE, paramsFrame(GOOD_PLACE))],
    () => [write(TRPC_OPENING, paramsFrame(oddToken(random)), TOO_LATE), ANSWERED, write(TOO_LATE)],
    () => [write(TRPC_OPENING, textFrame(`{"method":"connectionParams","data":${pick(random, ODD)}}`), TOO_LATE)],
    () => [write(TRPC_OPENING, textFrame(mutated(random, '{"method":"connectionParams","data":{"token":"x"}}')), TOO_LATE)],
    () => [write(handshake('/trpc', oddHeaders(random)), textFrame(batchOfTinyCalls(random, 20)))],
    () => [write(handshake('/trpc'), TOO_LATE, TOO_LATE)],
    () => [
      write(handshake('/trpc', [`Authorization: Bearer ${GOOD_PLACE}`]), ...times(upTo(random, 20), () => text(random, mutated(random)))),
    ],
    // Parameters that are too large: as a message, in pieces, and as a frame that says so and never comes.
    () => [write(TRPC_OPENING, paramsFrame('a'.repeat(1 + upTo(random, 100_000)))), ANSWERED, write(TOO_LATE)],
    () => [write(TRPC_OPENING, inPieces(random, 'a'.repeat(upTo(random, 20_000))))],
    () => [write(TRPC_OPENING, frame(0x81, Buffer.alloc(900_000)).subarray(0, 14 + upTo(random, 30_000)))],
    () => [write(TRPC_OPENING, flood(random), paramsFrame(GOOD_PLACE), text(random, mutated(random)))],
    () => [write(TRPC_OPENING, paramsFrame(GOOD_PLACE), paramsFrame(GOOD_PLACE), paramsFrame('x'))],
  ])();
}

function afterTheEnd(random: Random): readonly Step[] {
  const tooLate = pick(random, [
    () => [write(TOO_LATE)],
    () => [write(TOO_LATE, TOO_LATE, closeFrame(1000), TOO_LATE)],
    () => [write(TOO_LATE), { pauseMs: upTo(random, 5) }, write(TOO_LATE)],
    () => [write(flood(random), TOO_LATE)],
  ])();
  return pick(random, [
    // After the gateway's close frame: for a wrong token, and for a message that is none of the protocol's.
    () => [write(TRPC_OPENING, paramsFrame(oddToken(random))), ENDED, ...tooLate],
    () => [write(SIGNED_IN, frame(0x83, Buffer.alloc(1))), ENDED, ...tooLate],
    () => [write(SIGNED_IN, frame(0x81, Buffer.alloc(1), false)), ENDED, ...tooLate],
    // After the client's own.
    () => [write(SIGNED_IN, closeFrame(1000 + upTo(random, 4000), 'x'.repeat(upTo(random, 123)))), ...tooLate],
    () => [write(SIGNED_IN), ANSWERED, write(closeFrame(1000)), ENDED, ...tooLate],
  ])();
}

function afterExpiry(random: Random): readonly Step[] {
  const before = pick(random, [[], [text(random, mutated(random))], [textFrame(publishCall(CHANNEL))]]);
  return pick(random, [
    () => [write(TRPC_OPENING, paramsFrame(BRIEF_PLACE), ...before), ENDED, write(TOO_LATE)],
    () => [write(handshake(`/ws/global?token=${BRIEF_PLACE}`)), ENDED, write(TOO_LATE)],
    () => [
      write(TRPC_OPENING, paramsFrame(BRIEF_PLACE)),
      { reads: false },
      ...times(30, () => ({ pauseMs: 50 })),
      write(textFrame('PING')),
    ],
  ])();
}

/** Asks for much and does not read it: for a moment, or until the end. */
function readerThatStops(random: Random): readonly Step[] {
  const asked = pick(random, [() => greedyCalls(random).map(textFrame), () => [flood(random), flood(random), flood(random)]])();
  const pause: Step = { pauseMs: upTo(random, 50) };
  return [{ reads: false }, write(SIGNED_IN, ...asked), pause, ...(random() < 0.5 ? [] : [{ reads: true } as const, pause])];
}

export const TRPC_KINDS: readonly Kind[] = [
  { weight: 10, kind: 'any frame', make: (random) => signedIn(random, pick(random, ANY_FRAMES)(random)) },
  { weight: 20, kind: 'a mutated message', make: (random) => signedIn(random, text(random, mutated(random))) },
  { weight: 15, kind: 'odd values', make: (random) => signedIn(random, text(random, withOddValue(random))) },
  { weight: 15, kind: 'annotations', make: (random) => signedIn(random, text(random, annotatedCall(random))) },
  {
    weight: 10,
    kind: 'messages in numbers',
    make: (random) =>
      signedIn(random, ...times(upTo(random, 20), () => text(random, pick(random, [mutated, withOddValue, annotatedCall])(random)))),
  },
  { weight: 5, kind: 'frames in pieces', make: (random) => signedIn(random, inPieces(random, mutated(random))) },
  {
    weight: 2,
    kind: 'a huge id',
    make: (random) =>
      signedIn(random, text(random, `{"id":${'9'.repeat(1 + upTo(random, 2000))},"method":"query","params":{"path":"auth.whoami"}}`)),
  },
  { weight: 2, kind: 'deep nesting', make: (random) => signedIn(random, text(random, nested(random))) },
  { weight: 3, kind: 'a batch of tiny calls', make: (random) => signedIn(random, text(random, batchOfTinyCalls(random, 100))) },
  { weight: 3, kind: 'a flood', make: (random) => signedIn(random, flood(random)) },
  { weight: 12, kind: 'before signing in', make: beforeSignIn },
  { weight: 10, kind: 'after the end', make: afterTheEnd },
  { weight: 0.3, kind: 'after expiry', make: afterExpiry },
  { weight: 0.3, kind: 'a reader that stops', make: readerThatStops },
  { weight: 0.2, kind: 'a large call', make: (random) => signedIn(random, textFrame(largeCall(random))) },
  { weight: 0.1, kind: 'a large batch', make: (random) => signedIn(random, textFrame(largeBatch(random))) },
];

export const PLAIN_KINDS: readonly Kind[] = [
  { weight: 3, kind: 'messages', make: (random) => [write(PLAIN_OPENING, text(random, mutated(random)))] },
  { weight: 3, kind: 'any frame', make: (random) => [write(PLAIN_OPENING, pick(random, ANY_FRAMES)(random))] },
  { weight: 1, kind: 'a flood', make: (random) => [write(PLAIN_OPENING, flood(random))] },
  { weight: 4, kind: 'an odd address', make: (random) => [write(handshake(`/ws/${oddQuery(random)}`, oddHeaders(random)))] },
  {
    weight: 1,
    kind: 'after the end',
    make: (random) => [write(handshake(`/ws/global?token=${oddToken(random)}`)), pick(random, [ANSWERED, ENDED]), write(TOO_LATE)],
  },
  {
    weight: 0.05,
    kind: 'a reader that stops',
    make: (random) => [{ reads: false }, write(handshake(`/ws/user.*?from=earliest&token=${GOOD_PLACE}`)), { pauseMs: upTo(random, 50) }],
  },
];
