/** The supervisor's side of what the workers of one machine share: each member is a worker, and what it holds is given back with it. */
import { type Revocation, type RevocationStore, revokedName } from '../auth/revocations.ts';
import type { Health } from '../contract/admin.ts';
import { memoryConnectionCounts, memoryLimiter } from '../limits/memory.ts';
import type { Opened } from '../log/sqlite/messages.ts';
import type { Logger } from '../observe/logger.ts';
import { mergeHealth, type WorkerHealth, type WorkersFigures } from '../observe/merged-health.ts';
import type { UsageStore } from '../usage/usage.ts';
import type { Calls, Handlers } from './calls.ts';
import { chargePacked } from './charges.ts';
import type { LogSwitch, LogWay } from './log-switch.ts';
import type { ScopedClaim, SharedPort, ToSupervisor, ToWorker, Welcome } from './messages.ts';
import type { MachineMetrics, MetricsMember } from './metrics.ts';

export interface MachineDeps {
  readonly welcome: Omit<Welcome, 'worker' | 'log' | 'logLevel'>;
  /** Of the embedded log; workers have a server's log, and its stores, by themselves. */
  readonly embedded:
    | { readonly log: LogSwitch; readonly opened: () => Opened; readonly revocations: RevocationStore; readonly usage: UsageStore }
    | undefined;
  readonly metrics: MachineMetrics;
  /** The supervisor's. */
  readonly logger: Logger;
  /** The workers as the supervisor sees them. */
  readonly workers: () => WorkersFigures;
  /** Resolves when a worker may listen. */
  readonly port: (worker: number) => Promise<SharedPort>;
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
  readonly figures: MetricsMember;
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
  /** How the workers say that they are, while they are asked: whoever asks meanwhile shares it. */
  #asked: Promise<WorkerHealth[]> | undefined;

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
      onEnd: (error) => calls.tell('logEnded', error?.message ?? 'it is closed'),
    });
    const figures = metrics.join(worker, () => calls.ask('metrics', undefined));
    const member: Member = { worker, calls, way, claims: new Map(), known: 0, wasBehind: false, figures };
    this.#members.add(member);
    calls.serve(this.#handlers(member), () => this.#leave(member));
    calls.tell('welcome', { ...welcome, worker, logLevel: this.#deps.logger.level, log: embedded?.opened() });
  }

  [Symbol.dispose](): void {
    this.#limiter[Symbol.dispose]();
  }

  #leave(member: Member): void {
    this.#members.delete(member);
    member.way?.leave();
    member.figures.leave();
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
      figures: (told) => member.figures.note(told),
      health: (own) => this.#healthWith({ worker: member.worker, health: own }),
      port: () => this.#deps.port(member.worker),
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

  /** Of all workers together. @throws when none of them answers. */
  async health(): Promise<Health> {
    return mergeHealth(await this.#askHealth(), this.#deps.workers());
  }

  /** The same for one who knows how it is itself. */
  async #healthWith(own: WorkerHealth): Promise<Health> {
    const others = (await this.#askHealth()).filter(({ worker }) => worker !== own.worker);
    return mergeHealth([own, ...others], this.#deps.workers());
  }

  #askHealth(): Promise<WorkerHealth[]> {
    const ask = ({ worker, calls }: Member) => calls.ask('health', undefined).then((health) => ({ worker, health }));
    this.#asked ??= answersOf([...this.#members], ask, HEALTH_MS).finally(() => {
      this.#asked = undefined;
    });
    return this.#asked;
  }
}

/** The latest revocation of each thing, with how many there had been with it: a worker knows those up to a number. */
class SharedRevocations {
  readonly #store: RevocationStore;
  #loading: Promise<void> | undefined;
  readonly #latest = new Map<string, { readonly one: Revocation; readonly number: number }>();
  #count = 0;

  constructor(store: RevocationStore) {
    this.#store = store;
  }

  /** Those that came after the first `known`, and how many there were in all. */
  async load(since: number, known: number): Promise<{ readonly all: readonly Revocation[]; readonly known: number }> {
    await this.#load(since);
    const all = [...this.#latest.values()].filter(({ number }) => number > known).map(({ one }) => one);
    return { all, known: this.#count };
  }

  async add(one: Revocation, since: number): Promise<void> {
    await this.#load(since);
    for (const [name, kept] of this.#latest) if (kept.one.at <= since) this.#latest.delete(name);
    this.#note(one);
    const kept = [...this.#latest.values()].map((each) => each.one);
    await this.#store.add(one, kept, since);
  }

  #load(since: number): Promise<void> {
    this.#loading ??= this.#store.load(since).then((kept) => {
      for (const one of kept) this.#note(one);
    });
    return this.#loading;
  }

  #note(one: Revocation): void {
    this.#count += 1;
    this.#latest.set(revokedName(one), { one, number: this.#count });
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
