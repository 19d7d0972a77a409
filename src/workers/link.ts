/**
 * A worker's side of what it shares with the others of its machine: the same interfaces as over Redis, over the channel to the
 * supervisor. It ends with the supervisor, and the worker with it.
 */
import type { Socket } from 'node:net';
import { deserialize, serialize } from 'node:v8';
import type { RevocationStore } from '../auth/revocations.ts';
import type { Broker, BrokerListener } from '../broker/broker.ts';
import type { Answerers, Peers, Questions } from '../cluster/peers.ts';
import type { Health } from '../contract/admin.ts';
import type { Limiter, Room } from '../limits/limiter.ts';
import { placedEvents } from '../log/sqlite/append-frames.ts';
import type { LogPort, LogPortListener } from '../log/sqlite/messages.ts';
import { type Packed, packEvents, unpackEvents } from '../log/sqlite/packing.ts';
import type { MetricFigures } from '../observe/metrics.ts';
import type { UsageStore } from '../usage/usage.ts';
import { Calls, type Handlers } from './calls.ts';
import { Channel } from './channel.ts';
import { linkedLimiter } from './charges.ts';
import type { ClaimScope, SharedPort, ToSupervisor, ToWorker, Welcome } from './messages.ts';

/** What the others may ask of a worker. */
export interface WorkerFigures {
  metrics(): Promise<MetricFigures>;
  health(): Promise<Health>;
}

export class Link {
  readonly welcome: Welcome;
  readonly #calls: Calls<ToSupervisor>;
  readonly #state: LinkState;

  private constructor(calls: Calls<ToSupervisor>, state: LinkState, welcome: Welcome) {
    this.#calls = calls;
    this.#state = state;
    this.welcome = welcome;
  }

  /** Resolves when the supervisor is ready. @param onEnd told when that is gone, unless the worker has ended the link. */
  static open(socket: Socket, onEnd: () => void): Promise<Link> {
    const calls = new Calls<ToSupervisor>(new Channel(socket), 'the supervisor');
    const state = new LinkState();
    return new Promise((resolve) => {
      calls.serve(
        state.handlers((welcome) => resolve(new Link(calls, state, welcome))),
        () => state.isEnding || onEnd(),
      );
    });
  }

  /** Aborts when the worker is to drain. */
  get draining(): AbortSignal {
    return this.#state.drain.signal;
  }

  /** Where to listen. Resolves when nobody else can come before. */
  port(): Promise<SharedPort> {
    return this.#calls.ask('port', undefined);
  }

  /** Tells the supervisor that the worker serves, and where. */
  listening(url: string): void {
    this.#calls.tell('listening', { url });
  }

  /** Tells the supervisor that the worker cannot go on, and with what code to end. */
  ending(code: number, problems: readonly string[] = []): void {
    this.#calls.tell('ending', { code, problems });
  }

  /** Of all workers together. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }> {
    return this.#calls.ask('metrics', undefined);
  }

  /** The same of the health. @param own the worker's, which is part of it. */
  health(own: Health): Promise<Health> {
    return this.#calls.ask('health', own);
  }

  /** Answers for this worker from now on. */
  answer(figures: WorkerFigures): void {
    this.#state.figures = figures;
  }

  /** The way to the embedded log. */
  get logPort(): LogPort {
    return {
      post: (request) => {
        if (request.kind !== 'append') this.#calls.tell('log', request);
        else {
          const { frame, ...rest } = request;
          this.#calls.tell('log', rest, frame);
        }
      },
      listen: (listener) => {
        this.#state.log = listener;
      },
      close: () => Promise.resolve(),
    };
  }

  /** @param tells whether the worker tells the others what it has appended. Of the embedded log the supervisor does. */
  broker({ tells }: { readonly tells: boolean }): Broker {
    return {
      kind: 'local',
      problem: undefined,
      publish: (events) => {
        // Where the supervisor takes nothing, the others find it in the log.
        if (tells && !this.#calls.isBehind) this.#calls.tell('appended', undefined, serialize(packEvents(events)));
      },
      listen: (listener) => {
        this.#state.listeners.add(listener);
        return () => this.#state.listeners.delete(listener);
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  /** The other workers of the machine, which are one instance. */
  peers(): Peers {
    const { workers } = this.welcome;
    return {
      instances: 1,
      members: workers,
      ask: (kind, question) => {
        if (kind === 'logLevel') this.#calls.tell('setLogLevel', question as Questions['logLevel']['question']);
        return this.#calls.ask('peers', { kind, question }).catch(() => []) as Promise<never>;
      },
      answer: (answerers) => {
        this.#state.answerers = answerers;
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  limiter(): Limiter {
    return linkedLimiter((charges) => this.#calls.ask('charge', charges));
  }

  /** @param scope counts of one scope are apart from those of another. */
  counts(scope: ClaimScope): Room {
    return {
      claim: (key, id, most) => this.#calls.ask('claim', { scope, key, id, most }),
      release: (key, id) => this.#calls.tell('release', { scope, key, id }),
      count: (key) => this.#calls.ask('count', { scope, key }),
      [Symbol.dispose]: () => undefined,
    };
  }

  revocations(): RevocationStore {
    return {
      load: (since) => this.#calls.ask('loadRevocations', since),
      add: (one, _kept, since) => this.#calls.ask('addRevocation', { one, since }),
    };
  }

  usage(): UsageStore {
    return {
      load: (today) => this.#calls.ask('loadUsage', today),
      add: (clients, today) => this.#calls.ask('addUsage', { clients, today }),
    };
  }

  /** Tells what the worker has counted until its end. */
  async handOver(): Promise<void> {
    const figures = await this.#state.figures?.metrics().catch(() => undefined);
    if (figures !== undefined) this.#calls.tell('figures', figures);
  }

  /** Hands over what was told, and ends. */
  end(): void {
    this.#state.isEnding = true;
    this.#calls.end();
  }
}

/** Who is told what comes, as far as it is there yet. */
class LinkState {
  readonly drain = new AbortController();
  /** The worker ends by itself. */
  isEnding = false;
  readonly listeners = new Set<BrokerListener>();
  log: LogPortListener | undefined;
  answerers: Answerers | undefined;
  figures: WorkerFigures | undefined;

  handlers(onWelcome: (welcome: Welcome) => void): Handlers<ToWorker> {
    return {
      welcome: onWelcome,
      log: (reply) => this.log?.onReply(reply),
      logEnded: (reason) => this.log?.onEnd(new Error(reason)),
      placed: (placed, bytes) => {
        if (this.listeners.size === 0) return;
        // A copy: the live window keeps what it holds, and the bytes are part of whatever else came with them.
        const events = placedEvents(new Uint8Array(bytes), placed);
        for (const listener of this.listeners) listener.onEvents(events);
      },
      appended: (_, bytes) => {
        const events = unpackEvents(deserialize(bytes) as Packed);
        for (const listener of this.listeners) listener.onEvents(events);
      },
      hint: () => {
        for (const listener of this.listeners) listener.onHint();
      },
      peer: ({ kind, question }) => {
        if (this.answerers === undefined) throw new Error('this worker is starting');
        return (this.answerers[kind] as (question: unknown) => unknown)(question);
      },
      metrics: () => this.#told().metrics(),
      health: () => this.#told().health(),
      ping: () => undefined,
      drain: () => this.drain.abort(),
    };
  }

  #told(): WorkerFigures {
    if (this.figures === undefined) throw new Error('this worker is starting');
    return this.figures;
  }
}
