/** Inputs for the fuzzer: each follows from its seed alone, so that whatever broke something can be made again. */
import { annotatedCall } from './annotations.ts';
import { closeFrame, frame, handshake, inPieces, oddFrame, textFrame } from './frames.ts';
import { greedyCalls, largeBatch, largeCall } from './large.ts';
import { batchOfTinyCalls, LATE_CHANNEL, mutated, nested, publishCall, withOddValue } from './messages.ts';
import { bytesOf, pick, pickWeighted, type Random, randomFrom, times, upTo } from './random.ts';
import { cutBody, pipelined, randomRequest, request, stream } from './requests.ts';
import { BRIEF_PLACE, GOOD_PLACE } from './tokens.ts';

export interface Input {
  /** What kind of input it is, for the report. */
  readonly kind: string;
  /** Written to a TCP connection one after another, each in a turn of its own. */
  readonly pieces: readonly Buffer[];
  /** `nothing`: its sender never reads. `close`: it is over when the gateway closes. `pong`: also when it answers a last ping. */
  readonly until: 'pong' | 'close' | 'nothing';
}

const PING = frame(0x89, Buffer.from('last'));
const params = (token: string) => textFrame(`{"method":"connectionParams","data":{"token":"${token}"}}`);
const TRPC = handshake('/trpc?connectionParams=1');
const PLAIN = handshake(`/ws/user.fuzz?token=${GOOD_PLACE}`);

interface Kind {
  readonly weight: number;
  readonly kind: string;
  readonly until: Input['until'];
  readonly make: (random: Random) => readonly Buffer[];
}

/** What comes once a client has signed in. */
const signedIn = (kind: string, weight: number, make: (random: Random) => Buffer): Kind => ({
  kind,
  weight,
  until: 'pong',
  make: (random) => [Buffer.concat([random() < 0.15 ? PLAIN : Buffer.concat([TRPC, params(GOOD_PLACE)]), make(random), PING])],
});

const KINDS: readonly Kind[] = [
  signedIn('random bytes', 4, (random) => bytesOf(random, 1 + upTo(random, 300))),
  signedIn('a mutated message', 10, (random) => textFrame(mutated(random))),
  signedIn('odd values', 10, (random) => textFrame(withOddValue(random))),
  signedIn('annotations', 14, (random) => textFrame(annotatedCall(random))),
  signedIn('frames in pieces', 5, (random) => inPieces(random, mutated(random))),
  signedIn('a binary message', 2, (random) => frame(0x82, bytesOf(random, upTo(random, 200)))),
  signedIn('a huge id', 1, (random) =>
    textFrame(`{"id":${'9'.repeat(1 + upTo(random, 2000))},"method":"query","params":{"path":"auth.whoami"}}`),
  ),
  signedIn('deep nesting', 3, (random) => textFrame(nested(random))),
  signedIn('a control frame', 3, (random) => oddFrame(random, 0x88 + upTo(random, 3), bytesOf(random, upTo(random, 126)))),
  signedIn('an odd frame', 4, (random) => oddFrame(random, upTo(random, 256), bytesOf(random, upTo(random, 300)))),
  signedIn('tiny calls', 3, (random) => textFrame(batchOfTinyCalls(random, 50))),
  signedIn('pings', 2, (random) =>
    Buffer.concat(
      times(upTo(random, 200), () => pick(random, [frame(0x89, bytesOf(random, 5)), textFrame('PING'), frame(0x8a, bytesOf(random, 3))])),
    ),
  ),
  signedIn('a large call', 0.15, (random) => textFrame(largeCall(random))),
  signedIn('a large batch', 0.1, (random) => textFrame(largeBatch(random))),
  {
    kind: 'before sign-in',
    weight: 8,
    until: 'close',
    make: (random) => [
      TRPC,
      pick(random, [
        () => Buffer.concat([textFrame(publishCall(LATE_CHANNEL)), params(GOOD_PLACE)]),
        () => textFrame(annotatedCall(random)),
        () => Buffer.concat([params('x'), textFrame(publishCall(LATE_CHANNEL)), textFrame(mutated(random))]),
        () => params('a.'.repeat(upTo(random, 20_000))),
        () => params(`${GOOD_PLACE}${' '.repeat(1 + upTo(random, 50))}`),
        () => params(mutated(random, GOOD_PLACE).replaceAll('"', '').replaceAll('\\', '')),
        () => Buffer.concat([textFrame(withOddValue(random)), closeFrame(1000)]),
        () => inPieces(random, `{"method":"connectionParams","data":{"token":"x","client":"${'y'.repeat(upTo(random, 30_000))}"}}`),
        () => Buffer.concat([...times(upTo(random, 50), () => textFrame('PING')), closeFrame(1000)]),
        () => Buffer.concat([bytesOf(random, 100), closeFrame(1000)]),
      ])(),
      // Whoever waits for what never comes is gone after five seconds; the fuzzer goes before.
      closeFrame(1000),
    ],
  },
  {
    kind: 'after the close',
    weight: 6,
    until: 'close',
    make: (random) => [
      Buffer.concat([TRPC, params(pick(random, [GOOD_PLACE, 'wrong.wrong.wrong', BRIEF_PLACE]))]),
      pick(random, [closeFrame(1000), closeFrame(4999, 'x'.repeat(100)), frame(0x81, Buffer.from([0xff])), frame(0x8f, Buffer.alloc(0))]),
      Buffer.concat(times(1 + upTo(random, 5), () => textFrame(pick(random, [publishCall(LATE_CHANNEL), mutated(random), 'PING'])))),
    ],
  },
  {
    kind: 'a reader that stops',
    weight: 0.3,
    until: 'nothing',
    make: (random) => [
      Buffer.concat([TRPC, params(GOOD_PLACE), ...greedyCalls(random).map(textFrame)]),
      ...times(upTo(random, 5), () => Buffer.concat(times(500, () => pick(random, [textFrame('PING'), frame(0x89, Buffer.alloc(5))])))),
    ],
  },
  { kind: 'a stream that is not read', weight: 0.3, until: 'nothing', make: (random) => [stream(random)] },
  { kind: 'random bytes over HTTP', weight: 2, until: 'close', make: (random) => [randomRequest(random)] },
  { kind: 'a request', weight: 14, until: 'close', make: (random) => [request(random)] },
  { kind: 'pipelined requests', weight: 2, until: 'nothing', make: (random) => [pipelined(random)] },
  { kind: 'a body that is cut', weight: 3, until: 'nothing', make: cutBody },
  { kind: 'server-sent events', weight: 4, until: 'nothing', make: (random) => [stream(random)] },
];

/** The input that belongs to `seed`. */
export function inputFrom(seed: number): Input {
  const random = randomFrom(seed);
  const { kind, until, make } = pickWeighted(random, KINDS);
  return { kind, until, pieces: make(random) };
}
