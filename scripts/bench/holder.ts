/**
 * A process that holds connections with one subscription each, and comes back as Courier's clients do: with the position that each has,
 * after full jitter, and no sooner than the gateway asks. Where there are several gateways, each attempt goes to the next of them.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { jitter, RETRY_DEFAULTS } from '../../client/src/retry.ts';
import { PROTOCOLS } from './protocols.ts';
import { DRAFT } from './publishers.ts';
import { type Counter, RawSocket } from './raw-socket.ts';

export type HolderQuestion =
  /** Opens so many connections from one address, and goes through the ports in turn. */
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
   * When nearly all that were lost had come back, by `process.hrtime`, which all processes share; how many were lost, how many of these
   * are at another gateway now, and how many of all are not there although the time is over.
   */
  | {
      readonly kind: 'returned';
      readonly nearlyAllAtMs: number;
      readonly lost: number;
      readonly elsewhere: number;
      readonly missing: number;
    }
  | { readonly kind: 'failed'; readonly reason: string };

type HoldQuestion = Extract<HolderQuestion, { kind: 'hold' }>;

/** Of this process: were it slow with its own part of more, the gateway would give them up, and all would be tried again. */
const OPENING_AT_ONCE = 250;
const RETURN_MS = 300_000;
/** The last ones are those who have waited longest between their attempts. */
const NEARLY_ALL = 0.9;
const LOOK_MS = 20;

/** Sockets that are not ready to count frames do not use it. */
const counter: Counter = { frames: 0 };
const PROTOCOL = PROTOCOLS.courier;

/** The connections that are being opened, first come first served. */
class Openings {
  #free = OPENING_AT_ONCE;
  readonly #waiting: (() => void)[] = [];

  async enter(): Promise<void> {
    if (this.#free === 0) return await new Promise((resolve) => this.#waiting.push(resolve));
    this.#free -= 1;
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}

const openings = new Openings();

class Held {
  readonly #question: HoldQuestion;
  /** Where it is, or tried last to be. */
  port = 0;
  #position: string | undefined;
  #turn: number;
  #isOpening = false;
  /** Whether it has every event up to now. */
  isLive = false;
  /** Since gateways were to be ended. */
  events = 0;

  /** @param turn of the ports with which it begins. */
  constructor(question: HoldQuestion, turn: number) {
    this.#question = question;
    this.#turn = turn;
  }

  /** Connects, and connects again whenever the connection is lost, without end. */
  async stay(): Promise<never> {
    for (let attempt = 0; ; attempt += 1) {
      let askedMs = 0;
      await openings.enter();
      this.#isOpening = true;
      try {
        await this.#connection();
      } catch (error) {
        askedMs = 1000 * Number(/^retry-after: (\d+)/im.exec((error as Error).message)?.[1] ?? 0);
      }
      this.#isNotOpening();
      if (this.isLive) attempt = 0;
      this.isLive = false;
      await wait(askedMs + jitter(RETRY_DEFAULTS, attempt));
    }
  }

  /** Resolves once it is lost; rejects when it does not come to be. */
  async #connection(): Promise<void> {
    const { ports, token, localAddress } = this.#question;
    this.port = ports[this.#turn % ports.length] as number;
    this.#turn += 1;
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

  #isNotOpening(): void {
    if (this.#isOpening) openings.leave();
    this.#isOpening = false;
  }

  #take(text: string): string | undefined {
    // An event and a notice have their position first; what is of the protocol alone has none.
    this.#position = /"id":"([^"]+)"/.exec(text)?.[1] ?? this.#position;
    if (text.includes('courier.live')) {
      this.isLive = true;
      this.#isNotOpening();
    } else if (text.includes(DRAFT.type)) this.events += 1;
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
  all.push(...Array.from({ length: question.count }, (_, index) => new Held(question, index)));
  for (const held of all) void held.stay();
  if (!(await until(() => countOf(all, ({ isLive }) => isLive), all.length, deadlineFromNow()))) throw new Error('not all could connect');
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
  const deadline = deadlineFromNow();
  await until(() => countOf([...lost.keys()], isBack), lost.size * NEARLY_ALL, deadline);
  const nearlyAllAtMs = Number(process.hrtime.bigint()) / 1e6;
  await until(() => countOf(all, isBack), all.length, deadline);
  if (all.some(({ events }) => events > 1)) throw new Error('an event came twice');
  const elsewhere = [...lost].filter(([{ port }, before]) => port !== before).length;
  return { kind: 'returned', nearlyAllAtMs, lost: lost.size, elsewhere, missing: all.length - countOf(all, isBack) };
}

/** What was lost has the event over a new connection only: it was published later. */
const isBack = ({ isLive, events }: Held): boolean => isLive && events > 0;
const countOf = (some: readonly Held[], is: (held: Held) => boolean): number => some.filter(is).length;
const deadlineFromNow = (): number => performance.now() + RETURN_MS;

/** Resolves to whether there were so many before the deadline. */
async function until(count: () => number, wanted: number, deadline: number): Promise<boolean> {
  while (count() < wanted) {
    if (failure !== undefined) throw new Error(failure);
    if (performance.now() > deadline) return false;
    await wait(LOOK_MS);
  }
  return true;
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
