/**
 * One playing of a vector: where in its script it is, what the server saw of the client, and what differed. What the
 * client does is compared here, once for both protocols.
 */
import { isDeepStrictEqual } from 'node:util';
import { CONTRACT_HASH } from '../helpers/lumiere.ts';
import type { BatchAnswer, Draft, HistoryAnswer, NoAnswer, Protocol, PublishAnswer, ScriptedConnection, Vector } from './vector.ts';

/** How much earlier than asked a timer may fire and the clocks of two processes may differ, in ms. */
const TIMER_SLACK_MS = 5;

/** Who the client is. */
export interface SeenClient {
  protocol: Protocol;
  token: string | null;
  /** What it calls itself: `courier-client-python/0.1.0`. */
  client: string | null;
  /** The hash of the contract that it knows. */
  contract: string | null;
}

/** An attempt to subscribe. What the client had not said when it was refused is null. */
export interface SeenConnection extends SeenClient {
  channels: string[] | null;
  types: string[] | null;
  from: string | null;
  last_event_id: string | null;
}

export interface SeenCall extends SeenClient {
  call: 'publish' | 'publish_batch' | 'history' | 'refresh';
  /** Of a batch, that of its first event. */
  idempotency_key: string | null;
  /** A publish without its key; the events of a batch; what a page was asked for with; the token that a connection was renewed with. */
  body: Record<string, unknown>;
}

export interface Seen {
  connections: SeenConnection[];
  calls: SeenCall[];
  /** What differed from the script, for a person. */
  mismatches: string[];
  /** Whether everything of the script has been played. */
  complete: boolean;
}

export interface SeenPublish {
  channel: unknown;
  type: unknown;
  data: unknown;
  metadata: Record<string, unknown>;
  idempotency_key: string | null;
}

export interface SeenHistory {
  channels: string[];
  types: string[] | null;
  after: string | null;
  limit: number | null;
}

export class Run {
  readonly vector: Vector;
  /** Names the run in its address. */
  readonly id: string;
  /** What has to happen before the next subscription is confirmed. */
  beforeNextStart: (() => Promise<void>) | undefined;
  readonly #connections: SeenConnection[] = [];
  readonly #calls: SeenCall[] = [];
  readonly #mismatches: string[] = [];
  readonly #waiting = new Set<() => void>();
  /** Entries of the script that have begun. */
  #begun = 0;
  #played = 0;
  /** When the client may try again at the earliest, as it was told; by `performance.now()`. */
  #notBefore = 0;
  /** Of each event that is published, from its first attempt on. */
  readonly #keys: (string | null)[] = [];
  #isAway = false;
  /** Where the last page ended. */
  #after: string | undefined;

  constructor(vector: Vector, id: string) {
    this.vector = vector;
    this.id = id;
  }

  /** The hash of the contract that the gateway says it has. */
  get contract(): string {
    return this.vector.gateway?.contract ?? CONTRACT_HASH;
  }

  get seen(): Seen {
    const { length } = 'subscribe' in this.vector ? this.vector.connections : this.vector.answers;
    return {
      connections: this.#connections,
      calls: this.#calls,
      mismatches: this.#mismatches,
      complete: this.#played === length,
    };
  }

  /** Resolves once the whole script has been played, or something has differed from it. */
  async done(): Promise<Seen> {
    while (!this.seen.complete && this.#mismatches.length === 0) await new Promise<void>((resolve) => this.#waiting.add(resolve));
    return this.seen;
  }

  /** Whether nothing reaches the gateway any more. */
  get isAway(): boolean {
    return this.#isAway;
  }

  /** From now on nothing reaches the gateway. */
  leave(): void {
    this.#isAway = true;
  }

  /** Tells that an entry of the script has been played. */
  played(): void {
    this.#played += 1;
    this.#wake();
  }

  mismatch(text: string): void {
    this.#mismatches.push(text);
    this.#wake();
  }

  /** Tells that the client was asked to wait. An attempt before that is a mismatch. */
  toldToWait(ms: number | undefined): void {
    if (ms !== undefined) this.#notBefore = performance.now() + ms - TIMER_SLACK_MS;
  }

  /** The next attempt to subscribe; undefined, and a mismatch, when the script has none. */
  nextConnection(): ScriptedConnection | undefined {
    return this.#next('subscribe' in this.vector ? this.vector.connections : undefined, 'an attempt to subscribe');
  }

  nextPublish(): PublishAnswer | undefined {
    return this.#next('publish' in this.vector ? this.vector.answers : undefined, 'a publish');
  }

  nextBatch(): BatchAnswer | undefined {
    return this.#next('publish_batch' in this.vector ? this.vector.answers : undefined, 'a batch');
  }

  nextHistory(): HistoryAnswer | undefined {
    return this.#next('history' in this.vector ? this.vector.answers : undefined, 'a read of history');
  }

  #next<T>(script: readonly T[] | undefined, what: string): T | undefined {
    if (performance.now() < this.#notBefore) this.mismatch(`${what} came before the time that the client was told to wait`);
    this.#notBefore = 0;
    if (script === undefined) this.mismatch(`${what}, which this vector has none of`);
    else if (this.#begun === script.length) this.mismatch(`${what} after all ${script.length} of the script`);
    else {
      this.#begun += 1;
      return script[this.#begun - 1];
    }
    return undefined;
  }

  /** Keeps what an attempt to subscribe was, and compares what the client has said (what is null it has not) with the script. */
  sawConnection(seen: SeenConnection, entry: ScriptedConnection | undefined): void {
    this.#connections.push(seen);
    if (entry === undefined || !('subscribe' in this.vector)) return;
    const { subscribe } = this.vector;
    const what = `connection ${this.#begun}`;
    // A refused upgrade carries no token over tRPC, whose client sends it later.
    if (seen.token !== null || seen.channels !== null) this.#compareToken(what, seen, entry.expect?.token);
    if (seen.channels === null) return;
    this.#compare(`${what}: channels`, [...seen.channels].sort(), [...subscribe.channels].sort());
    this.#compare(`${what}: types`, sorted(seen.types), sorted(subscribe.types));
    this.#compare(`${what}: from`, seen.from ?? 'now', subscribe.from ?? 'now');
    this.#compare(`${what}: last_event_id`, seen.last_event_id, entry.expect?.last_event_id ?? null);
  }

  /** As `sawConnection`, for a publish: every attempt must be of the same event with the same key. */
  sawPublish(client: SeenClient, publish: SeenPublish, answer: PublishAnswer | undefined): void {
    const { idempotency_key, ...body } = publish;
    this.#calls.push({ call: 'publish', ...client, idempotency_key, body });
    if (answer === undefined || !('publish' in this.vector)) return;
    const what = `publish ${this.#begun}`;
    this.#compareToken(what, client, tokenFor(answer));
    this.#comparePublish(what, publish, this.vector.publish, 0);
  }

  /** As `sawPublish`, for a batch. */
  sawBatch(client: SeenClient, events: readonly SeenPublish[], answer: BatchAnswer | undefined): void {
    this.#calls.push({ call: 'publish_batch', ...client, idempotency_key: events[0]?.idempotency_key ?? null, body: { events } });
    if (answer === undefined || !('publish_batch' in this.vector)) return;
    const { publish_batch: drafts } = this.vector;
    const what = `batch ${this.#begun}`;
    this.#compareToken(what, client, tokenFor(answer));
    this.#compare(`${what}: events`, events.length, drafts.length);
    for (const [index, draft] of drafts.entries()) {
      const event = events[index];
      if (event !== undefined) this.#comparePublish(`${what}: ${index}`, event, draft, index);
    }
  }

  #comparePublish(what: string, publish: SeenPublish, { channel, type, data, options = {} }: Draft, index: number): void {
    const { idempotency_key } = publish;
    const { idempotency_key: key = this.#keys[index] ?? null, ...metadata } = options;
    this.#compare(`${what}: channel`, publish.channel, channel);
    this.#compare(`${what}: type`, publish.type, type);
    this.#compare(`${what}: data`, publish.data, data);
    this.#compare(`${what}: metadata`, inUtc(publish.metadata), inUtc(metadata));
    if (idempotency_key === null) this.mismatch(`${what}: it has no idempotency key, so that it could not be repeated`);
    else if (key !== null) this.#compare(`${what}: idempotency_key`, idempotency_key, key);
    this.#keys[index] ??= idempotency_key;
  }

  /** As `sawConnection`, for a page of history. */
  sawHistory(client: SeenClient, asked: SeenHistory, answer: HistoryAnswer | undefined): void {
    this.#calls.push({ call: 'history', ...client, idempotency_key: null, body: { ...asked } });
    if (answer === undefined || !('history' in this.vector)) return;
    const { history } = this.vector;
    const what = `read ${this.#begun}`;
    this.#compareToken(what, client, tokenFor(answer));
    this.#compare(`${what}: channels`, [...asked.channels].sort(), [...history.channels].sort());
    this.#compare(`${what}: types`, sorted(asked.types), sorted(history.types));
    this.#compare(`${what}: after`, asked.after, this.#after ?? history.after ?? null);
    if (history.limit !== undefined) this.#compare(`${what}: limit`, asked.limit, history.limit);
    if (typeof answer === 'object' && 'page' in answer) this.#after = answer.page.next;
  }

  sawRefresh(client: SeenClient, token: string | null): void {
    this.#calls.push({ call: 'refresh', ...client, idempotency_key: null, body: { token } });
  }

  #compareToken(what: string, { token }: SeenClient, expected: string | undefined): void {
    const given = this.vector.client?.token ?? 't1';
    this.#compare(`${what}: token`, token, expected ?? (typeof given === 'string' ? given : given[0]));
  }

  #compare(what: string, seen: unknown, expected: unknown): void {
    if (!isDeepStrictEqual(seen, expected)) this.mismatch(`${what} is ${JSON.stringify(seen)}, and should be ${JSON.stringify(expected)}`);
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}

/** The token that an attempt must have, where it is not the vector's. */
function tokenFor(answer: NoAnswer | { expect?: { token?: string } }): string | undefined {
  return typeof answer === 'object' ? answer.expect?.token : undefined;
}

function sorted(list: readonly string[] | null | undefined): string[] | null {
  return list == null ? null : [...list].sort();
}

/** Metadata in one form: what is undefined left out, the timestamp, a Date or however written, in UTC. */
function inUtc({ timestamp, ...rest }: Record<string, unknown>): unknown {
  const instant = timestamp === undefined ? undefined : new Date(timestamp as string | Date);
  return JSON.parse(JSON.stringify({ timestamp: instant, ...rest }));
}
