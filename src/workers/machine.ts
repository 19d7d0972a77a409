/** The supervisor's side of what the workers of one machine share: each member is a worker, and what it holds is given back with it. */
import type { Revocation, RevocationStore } from '../auth/revocations.ts';
import type { Health } from '../contract/admin.ts';
import { memoryConnectionCounts, memoryLimiter } from '../limits/memory.ts';
import type { Opened } from '../log/sqlite/messages.ts';
import type { Logger } from '../observe/logger.ts';
import { mergeHealth, type WorkersFigures } from '../observe/merged-health.ts';
import type { UsageStore } from '../usage/usage.ts';
import type { Calls, Handlers } from './calls.ts';
import { chargePacked } from './charges.ts';
import type { LogSwitch, LogWay } from './log-switch.ts';
import type { ScopedClaim, ToSupervisor, ToWorker, Welcome } from './messages.ts';
import type { MachineMetrics } from './metrics.ts';

export interface MachineDeps {
  readonly welcome: Omit<Welcome, 'worker' | 'log'>;
  /** Of the embedded log; workers have a server's log, and its stores, by themselves. */
  readonly embedded:
    | { readonly log: LogSwitch; readonly opened: () => Opened; readonly revocations: RevocationStore; readonly usage: UsageStore }
    | undefined;
  readonly metrics: MachineMetrics;
  /** The supervisor's. */
  readonly logger: Logger;
  /** The workers as the supervisor sees them. */
  readonly workers: () => WorkersFigures;
  readonly onListening: (worker: number, url: string) => void;
  readonly onEnding: (worker: number, code: number, problems: readonly string[]) => void;
}

/** How long workers may take to say what the others ask, and how they are, in ms. */
const PEERS_MS = 1000;
const HEALTH_MS = 150;

/** A worker, as long as its channel stands. */
interface Member {
  readonly worker: number;
  readonly calls: Calls<ToWorker>;
  readonly way: LogWay | undefined;
  /** What it has claimed and not released, by what `nameOf` makes of it. */
  readonly claims: Map<string, ScopedClaim>;
  /** How many revocations there were when it was told of them last. */
  known: number;
  /** Its figures stay, and are asked for no more. */
  readonly leaveMetrics: () => void;
  /** It was told too little of what is appended. */
  wasBehind: boolean;
}

export class Machine implements Disposable {
  readonly #deps: MachineDeps;
  readonly #members = new Set<Member>();
  readonly #limiter = memoryLimiter();
  readonly #counts = { principal: memoryConnectionCounts(), gateway: memoryConnectionCounts() };
  /** The last write of who used the contract: they come one after another. */
  #usage: Promise<unknown> = Promise.resolve();
  readonly #revocations: SharedRevocations | undefined;

  constructor(deps: MachineDeps) {
    this.#deps = deps;
    this.#revocations = deps.embedded && new SharedRevocations(deps.embedded.revocations);
  }

  /** Serves a worker until its channel ends. */
  join(calls: Calls<ToWorker>, worker: number): void {
    const { embedded, welcome, metrics } = this.#deps;
    const way = embedded?.log.join({
      onReply: (reply) => calls.tell('log', reply),
      onAppended: (placed, frame) => this.#spread(member, () => calls.tell('placed', placed, frame)),
      // The supervisor ends then, and with it everything.
      onEnd: () => undefined,
    });
    const leaveMetrics = metrics.join(worker, () => calls.ask('metrics', undefined));
    const member: Member = { worker, calls, way, claims: new Map(), known: 0, wasBehind: false, leaveMetrics };
    this.#members.add(member);
    calls.serve(this.#handlers(member), () => this.#leave(member));
    calls.tell('welcome', { ...welcome, worker, log: embedded?.opened() });
  }

  [Symbol.dispose](): void {
    this.#limiter[Symbol.dispose]();
  }

  #leave(member: Member): void {
    this.#members.delete(member);
    member.way?.leave();
    member.leaveMetrics();
    for (const { scope, key, id } of member.claims.values()) this.#counts[scope].release(key, id);
  }

  #handlers(member: Member): Handlers<ToSupervisor> {
    const { embedded, metrics, onListening, onEnding } = this.#deps;
    return {
      // A copy: the bytes are part of a larger piece of memory.
      log: (request, bytes) => member.way?.post(request.kind === 'append' ? { ...request, frame: new Uint8Array(bytes) } : request),
      appended: (_, bytes) => {
        for (const other of this.#others(member)) this.#spread(other, () => other.calls.tell('appended', undefined, bytes));
      },
      charge: (charges) => chargePacked(this.#limiter, charges),
      claim: ({ most, ...claim }) => this.#claim(member, claim, most),
      release: (claim) => {
        if (member.claims.delete(nameOf(claim))) this.#counts[claim.scope].release(claim.key, claim.id);
      },
      count: ({ scope, key }) => this.#counts[scope].count(key),
      peers: (asked) => answersOf(this.#others(member), ({ calls }) => calls.ask('peer', asked), PEERS_MS),
      setLogLevel: ({ level, by }) => this.#deps.logger.setLevel(level, by),
      loadRevocations: async (since) => {
        const { all = [], known = 0 } = (await this.#revocations?.load(since, member.known)) ?? {};
        member.known = known;
        return all;
      },
      addRevocation: ({ one, since }) => this.#revocations?.add(one, since) ?? Promise.resolve(),
      loadUsage: async (today) => (await embedded?.usage.load(today)) ?? [],
      addUsage: ({ clients, today }) => {
        const added = this.#usage.then(() => embedded?.usage.add(clients, today));
        this.#usage = added.catch(() => undefined);
        return added;
      },
      metrics: () => metrics.text(),
      health: () => this.health(),
      listening: ({ url }) => onListening(member.worker, url),
      ending: ({ code, problems }) => onEnding(member.worker, code, problems),
    };
  }

  #others(member: Member): Member[] {
    return [...this.#members].filter((other) => other !== member);
  }

  /** What a worker that is behind is not told it reads in the log, once it is told that there is something. */
  #spread(member: Member, tell: () => void): void {
    if (member.calls.isBehind) member.wasBehind = true;
    else {
      if (member.wasBehind) member.calls.tell('hint', undefined);
      member.wasBehind = false;
      tell();
    }
  }

  #claim(member: Member, claim: ScopedClaim, most: number): number | undefined {
    const open = this.#counts[claim.scope].claim(claim.key, claim.id, most) as number | undefined;
    if (open === undefined) member.claims.set(nameOf(claim), claim);
    return open;
  }

  /** Of all workers together. */
  async health(): Promise<Health> {
    const told = await answersOf(
      [...this.#members],
      ({ worker, calls }) => calls.ask('health', undefined).then((health) => ({ worker, health })),
      HEALTH_MS,
    );
    return mergeHealth(told, this.#deps.workers());
  }
}

/** All revocations that are kept, of which each worker knows those up to a number. */
class SharedRevocations {
  readonly #store: RevocationStore;
  #loading: Promise<void> | undefined;
  #all: Revocation[] = [];
  /** How many there were before the first that is kept. */
  #forgotten = 0;

  constructor(store: RevocationStore) {
    this.#store = store;
  }

  /** Those that came after the first `known`, and how many there are now. */
  async load(since: number, known: number): Promise<{ readonly all: readonly Revocation[]; readonly known: number }> {
    await this.#load(since);
    return { all: this.#all.slice(Math.max(0, known - this.#forgotten)), known: this.#forgotten + this.#all.length };
  }

  async add(one: Revocation, since: number): Promise<void> {
    await this.#load(since);
    this.#all.push(one);
    while ((this.#all[0] as Revocation).at <= since) {
      this.#all.shift();
      this.#forgotten += 1;
    }
    await this.#store.add(one, this.#all, since);
  }

  #load(since: number): Promise<void> {
    this.#loading ??= this.#store.load(since).then((kept) => {
      this.#all = [...kept];
    });
    return this.#loading;
  }
}

/** One connection is counted for several things. */
function nameOf({ scope, key, id }: ScopedClaim): string {
  return `${scope} ${id} ${key}`;
}

/** The answers that came in time. */
function answersOf<M, A>(members: readonly M[], ask: (member: M) => Promise<A>, withinMs: number): Promise<A[]> {
  return new Promise((resolve) => {
    const answers: A[] = [];
    let left = members.length;
    const done = () => {
      clearTimeout(late);
      resolve(answers);
    };
    const late = setTimeout(done, withinMs);
    const settle = () => {
      left -= 1;
      if (left === 0) done();
    };
    if (left === 0) done();
    for (const member of members) {
      ask(member).then((answer) => {
        answers.push(answer);
        settle();
      }, settle);
    }
  });
}
