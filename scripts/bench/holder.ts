/**
 * A process that holds connections with one subscription each, and comes back as Courier's clients do: with the position that each has,
 * after full jitter, and no sooner than the gateway asks. Where there are several gateways, it comes back to any of them.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { jitter, RETRY_DEFAULTS } from '../../client/src/retry.ts';
import { PROTOCOLS } from './protocols.ts';
import { DRAFT } from './publishers.ts';
import { type Counter, RawSocket } from './raw-socket.ts';

export type HolderQuestion =
  /** Opens so many connections from one address, each to any of the ports. */
  | {
      readonly kind: 'hold';
      readonly ports: readonly number[];
      readonly token: string;
      readonly localAddress: string;
      readonly count: number;
    }
  /** Told before the gateways on these ports are ended. */
  | { readonly kind: 'lose'; readonly ports: readonly number[] }
  /** Waits until each connection is there, and has had the one event that was published after gateways had ended. */
  | { readonly kind: 'return' };
export type HolderAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'held' }
  | { readonly kind: 'losing' }
  /**
   * When nearly all that were lost had come back, by `process.hrtime`, which all processes share; how many were lost, and how many of
   * these are at another gateway now.
   */
  | { readonly kind: 'returned'; readonly nearlyAllAtMs: number; readonly lost: number; readonly elsewhere: number }
  | { readonly kind: 'failed'; readonly reason: string };

type HoldQuestion = Extract<HolderQuestion, { kind: 'hold' }>;

const OPENING_AT_ONCE = 100;
const RETURN_MS = 300_000;
/** The last ones are those who have waited longest between their attempts. */
const NEARLY_ALL = 0.9;
const LOOK_MS = 20;

/** Sockets that are not ready to count frames do not use it. */
const counter: Counter = { frames: 0 };
const PROTOCOL = PROTOCOLS.courier;

class Held {
  readonly #question: HoldQuestion;
  /** Where it is, or tried last to be. */
  port = 0;
  #position: string | undefined;
  /** Whether it has every event up to now. */
  isLive = false;
  /** Since gateways were to be ended. */
  events = 0;

  constructor(question: HoldQuestion) {
    this.#question = question;
  }

  /** Connects, and connects again whenever the connection is lost, without end. */
  async stay(): Promise<never> {
    for (let attempt = 0; ; attempt += 1) {
      let askedMs = 0;
      try {
        await this.#connection();
      } catch (error) {
        askedMs = 1000 * Number(/^retry-after: (\d+)/im.exec((error as Error).message)?.[1] ?? 0);
      }
      if (this.isLive) attempt = 0;
      this.isLive = false;
      await wait(askedMs + jitter(RETRY_DEFAULTS, attempt));
    }
  }

  /** Resolves once it is lost; rejects when it does not come to be. */
  async #connection(): Promise<void> {
    const { ports, token, localAddress } = this.#question;
    // Each attempt may lead to any of them, as behind a load balancer.
    this.port = ports[Math.floor(Math.random() * ports.length)] as number;
    const closed = Promise.withResolvers<void>();
    const channel = DRAFT.channel;
    await RawSocket.open({
      port: this.port,
      localAddress,
      path: PROTOCOL.path(channel),
      counter,
      hello: PROTOCOL.hello(channel, token, 0, this.#position),
      answer: (text) => this.#take(text),
      onClose: closed.resolve,
    });
    await closed.promise;
  }

  #take(text: string): string | undefined {
    // An event and a notice have their position first; what is of the protocol alone has none.
    this.#position = /"id":"([^"]+)"/.exec(text)?.[1] ?? this.#position;
    if (text.includes('courier.live')) this.isLive = true;
    else if (text.includes(DRAFT.type)) this.events += 1;
    else if (text.includes('courier.gap') || text.includes('"error"')) fail(text);
    return PROTOCOL.answer(text);
  }
}

const all: Held[] = [];
let failure: string | undefined;

function fail(reason: string): void {
  failure ??= reason;
}

async function hold(question: HoldQuestion): Promise<HolderAnswer> {
  while (all.length < question.count) {
    const some = Array.from({ length: Math.min(OPENING_AT_ONCE, question.count - all.length) }, () => new Held(question));
    all.push(...some);
    for (const held of some) void held.stay();
    await until(() => some.filter(({ isLive }) => isLive).length, some.length);
  }
  return { kind: 'held' };
}

/** Those whose gateway is ended, and where that was. */
let lost = new Map<Held, number>();

function lose(ports: readonly number[]): HolderAnswer {
  for (const held of all) held.events = 0;
  lost = new Map(all.filter(({ port }) => ports.includes(port)).map((held) => [held, held.port]));
  return { kind: 'losing' };
}

async function comeBack(): Promise<HolderAnswer> {
  await untilThere([...lost.keys()], lost.size * NEARLY_ALL);
  const nearlyAllAtMs = Number(process.hrtime.bigint()) / 1e6;
  await untilThere(all, all.length);
  if (all.some(({ events }) => events > 1)) throw new Error('an event came twice');
  const elsewhere = [...lost].filter(([{ port }, before]) => port !== before).length;
  return { kind: 'returned', nearlyAllAtMs, lost: lost.size, elsewhere };
}

/** What was lost has the event over a new connection only: it was published later. */
function untilThere(some: readonly Held[], wanted: number): Promise<void> {
  return until(() => some.filter(({ isLive, events }) => isLive && events > 0).length, wanted);
}

async function until(count: () => number, wanted: number): Promise<void> {
  const deadline = performance.now() + RETURN_MS;
  while (count() < wanted) {
    if (failure !== undefined) throw new Error(failure);
    if (performance.now() > deadline) throw new Error(`${count()} of ${wanted} are there`);
    await wait(LOOK_MS);
  }
}

async function answer(question: HolderQuestion): Promise<HolderAnswer> {
  if (question.kind === 'hold') return await hold(question);
  return question.kind === 'lose' ? lose(question.ports) : await comeBack();
}

process.on('message', (question: HolderQuestion) => {
  answer(question).then(
    (answer) => process.send?.(answer),
    (error: Error) => process.send?.({ kind: 'failed', reason: error.message } satisfies HolderAnswer),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ kind: 'ready' } satisfies HolderAnswer);
