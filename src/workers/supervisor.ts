/**
 * Starts the workers of a gateway, looks whether they answer, and starts another in the place of one that has ended, after a pause that
 * grows while they keep ending. It keeps nothing that a worker needs.
 */
import cluster, { type Worker } from 'node:cluster';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '../observe/logger.ts';
import type { WorkersFigures } from '../observe/merged-health.ts';
import { atExit, EXIT } from '../process.ts';
import { Calls } from './calls.ts';
import { Channel } from './channel.ts';
import type { ToWorker } from './messages.ts';
import { WorkerStartError } from './start-error.ts';

export interface SupervisorOptions {
  readonly workers: number;
  readonly logger: Logger;
  /** A worker was started: to be told what it needs, and answered. Resolves when that has begun. */
  readonly onStart: (calls: Calls<ToWorker>, worker: number) => Promise<void>;
  /** Another was started in the place of one that had ended. */
  readonly onRestart: () => void;
  /** No worker has served for so long, in ms. */
  readonly onNobody: (ms: number) => void;
}

/** The channel's place among the standard streams of a worker; before it is the one that Node.js has with it. */
export const CHANNEL_FD = 4;
/** How often workers are asked whether they are there, and after how long without an answer one is ended, in ms. */
const PING_EVERY_MS = 1000;
const SILENT_MS = 10_000;
/** The first pause before another worker is started, and the longest, in ms. Each is twice the one before. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** A worker that has served for so long ends such a row, in ms. */
const SETTLED_MS = 60_000;
/** How long workers may take to end beyond the time that they have for draining, in ms: less than their supervisor has. */
const END_MS = 500;

/** How long a signal that a worker has had may take to come to this process too, in ms. */
const OWN_SIGNAL_MS = 200;
/** For how long no worker may serve, in ms. */
const NOBODY_MS = 30_000;

/** A worker that was started. */
interface Slot {
  readonly worker: number;
  readonly process: Worker;
  readonly calls: Calls<ToWorker>;
  isServing: boolean;
  /** When it answered last, as of `performance.now()`; undefined before anybody hears it. */
  heardAt: number | undefined;
  readonly startedAt: number;
  /** The pause before it was started. */
  readonly pauseMs: number;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #startedAt = Date.now();
  readonly #slots = new Map<number, Slot>();
  readonly #serving = Promise.withResolvers<string>();
  readonly #ready = new Set<number>();
  readonly #allReady = Promise.withResolvers<void>();
  #url: string | undefined;
  #restarts = 0;
  #isEnding = false;
  #isDraining = false;
  readonly #over = new AbortController();
  #pinging: NodeJS.Timeout | undefined;
  #pingedAt = 0;
  #forgetLastAct: () => void = () => undefined;
  #nobodyTimer: NodeJS.Timeout | undefined;

  /** @param exec the file that a worker runs. */
  constructor(exec: string, options: SupervisorOptions) {
    this.#options = options;
    this.#serving.promise.catch(() => undefined);
    // Signals of a terminal go to all of its processes: the workers wait for the supervisor's word.
    cluster.setupPrimary({ exec, args: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'] });
  }

  /** Starts all of them. */
  start(): void {
    // One that stands still would not notice that this process is gone.
    this.#forgetLastAct = atExit(() => this.#killAll());
    for (let worker = 1; worker <= this.#options.workers; worker += 1) this.#start(worker, 0);
    this.#pinging = setInterval(() => this.#ping(), PING_EVERY_MS);
  }

  /** Resolves to where they listen, once all do. @throws {WorkerStartError} */
  get serving(): Promise<string> {
    return this.#serving.promise;
  }

  /** They have all served. */
  get isServing(): boolean {
    return this.#url !== undefined;
  }

  get figures(): WorkersFigures {
    const { workers: configured } = this.#options;
    const slots = [...this.#slots.values()];
    const running = slots.filter(({ isServing }) => isServing).length;
    return {
      startedAt: this.#startedAt,
      configured,
      running,
      restarts: this.#restarts,
      problem:
        running < configured && this.#url !== undefined
          ? `${configured - running} of ${configured} workers do not serve: the log says why they ended`
          : undefined,
      draining: this.#isDraining,
    };
  }

  /** A worker could listen. Resolves when all can that are started with it. */
  ready(worker: number): Promise<void> {
    this.#ready.add(worker);
    if (this.#ready.size === this.#options.workers) this.#allReady.resolve();
    return this.#allReady.promise;
  }

  /** A worker listens. */
  listening(worker: number, url: string): void {
    const slot = this.#slots.get(worker);
    if (slot === undefined) return;
    slot.isServing = true;
    if (this.#url !== undefined) this.#options.logger.info('a worker serves again', { worker });
    if (this.#url !== undefined || [...this.#slots.values()].some(({ isServing }) => !isServing)) return;
    this.#url = url;
    this.#serving.resolve(url);
  }

  /** A worker says that it will end. */
  ending(worker: number, code: number, problems: readonly string[]): void {
    if (this.#url === undefined) this.#serving.reject(new WorkerStartError(code, problems));
    else for (const problem of problems) this.#options.logger.error('a worker does not start', { worker, problem });
  }

  /** Drains them all within `limitMs`. Resolves when all have ended. */
  async drain(limitMs: number): Promise<void> {
    this.#isDraining = true;
    await this.#end(({ calls }) => calls.tell('drain', undefined), limitMs + END_MS);
  }

  /** Ends them all at once. */
  async kill(): Promise<void> {
    await this.#end(({ process }) => process.process.kill('SIGKILL'), END_MS);
  }

  #killAll(): void {
    for (const { process } of this.#slots.values()) if (!process.isDead()) process.process.kill('SIGKILL');
  }

  async #end(how: (slot: Slot) => void, limitMs: number): Promise<void> {
    this.#isEnding = true;
    this.#over.abort();
    clearInterval(this.#pinging);
    const ended = [...this.#slots.values()].map((slot) => exitOf(slot.process));
    for (const slot of this.#slots.values()) how(slot);
    const overdue = setTimeout(() => {
      for (const { worker, process } of this.#slots.values()) {
        if (process.isDead()) continue;
        this.#options.logger.error('a worker did not end in time, and was killed', { worker });
        process.process.kill('SIGKILL');
      }
    }, limitMs);
    await Promise.all(ended);
    clearTimeout(overdue);
    this.#forgetLastAct();
  }

  #start(worker: number, pauseMs: number): void {
    const process = cluster.fork();
    // Where the system has no more descriptors or processes there is neither channel nor exit.
    const failed = (error: Error) => this.#failed(worker, pauseMs, error);
    process.once('error', failed);
    const socket = process.process.stdio?.[CHANNEL_FD] as Socket | null | undefined;
    if (!socket) return;
    const calls = new Calls<ToWorker>(new Channel(socket), `worker ${worker}`);
    const slot: Slot = { worker, process, calls, isServing: false, heardAt: undefined, startedAt: performance.now(), pauseMs };
    this.#slots.set(worker, slot);
    process.once('exit', (code, signal) => this.#ended(slot, code, signal));
    const joined = () => {
      slot.heardAt = performance.now();
    };
    this.#options.onStart(calls, worker).then(joined, () => undefined);
  }

  #failed(worker: number, lastPauseMs: number, error: Error): void {
    if (this.#isEnding) return;
    const pauseMs = nextPauseMs(lastPauseMs);
    if (this.#url === undefined) this.#serving.reject(new Error(`a worker cannot be started: ${error.message}`, { cause: error }));
    else {
      this.#options.logger.error('a worker cannot be started, and that is tried again', { worker, error, in_ms: pauseMs });
      void this.#startAgain(worker, pauseMs);
    }
  }

  #ended(slot: Slot, code: number | null, signal: string | null): void {
    const { worker, startedAt, pauseMs: lastPauseMs, process } = slot;
    const wasServing = slot.isServing;
    slot.isServing = false;
    if (this.#isEnding) return;
    this.#watchWhetherAnyServes();
    if (this.#url === undefined) {
      const reject = () => this.#serving.reject(new WorkerStartError(code || EXIT.failed, []));
      // A signal to all processes of a terminal or a service reaches this one too.
      if (signal === 'SIGTERM' || signal === 'SIGINT') setTimeout(reject, OWN_SIGNAL_MS);
      else reject();
      return;
    }
    const isInOrder = code === EXIT.done;
    const isSettled = isInOrder || (wasServing && performance.now() - startedAt >= SETTLED_MS);
    const pauseMs = isSettled ? FIRST_PAUSE_MS : nextPauseMs(lastPauseMs);
    this.#options.logger[isInOrder ? 'info' : 'error']('a worker has ended: its clients resume on the others, and another is started', {
      worker,
      process: process.process.pid,
      ...(signal === null ? { code } : { signal }),
      in_ms: pauseMs,
    });
    void this.#startAgain(worker, pauseMs);
  }

  /** Where nobody serves for long, whoever looks after this process is to know. */
  #watchWhetherAnyServes(): void {
    if (this.#url === undefined || this.#nobodyTimer !== undefined || this.figures.running > 0) return;
    this.#nobodyTimer = setTimeout(() => {
      this.#nobodyTimer = undefined;
      if (!this.#isEnding && this.figures.running === 0) this.#options.onNobody(NOBODY_MS);
    }, NOBODY_MS).unref();
  }

  async #startAgain(worker: number, pauseMs: number): Promise<void> {
    await wait(pauseMs, undefined, { signal: this.#over.signal }).catch(() => undefined);
    if (this.#isEnding) return;
    this.#restarts += 1;
    this.#options.onRestart();
    this.#start(worker, pauseMs);
  }

  #ping(): void {
    const now = performance.now();
    // Who was stopped itself has heard nobody.
    const wasStopped = now - this.#pingedAt > 2 * PING_EVERY_MS;
    this.#pingedAt = now;
    for (const slot of this.#slots.values()) {
      if (slot.process.isDead() || slot.heardAt === undefined) continue;
      if (wasStopped) slot.heardAt = now;
      if (now - slot.heardAt >= SILENT_MS) {
        this.#options.logger.error('a worker does not answer, and is ended', {
          worker: slot.worker,
          process: slot.process.process.pid,
          silent_ms: SILENT_MS,
        });
        slot.process.process.kill('SIGKILL');
      }
      slot.calls.ask('ping', undefined).then(
        () => {
          slot.heardAt = performance.now();
        },
        () => undefined,
      );
    }
  }
}

function nextPauseMs(lastPauseMs: number): number {
  return lastPauseMs === 0 ? FIRST_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, lastPauseMs * 2);
}

function exitOf(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    if (worker.isDead()) resolve();
    else worker.once('exit', () => resolve());
  });
}
