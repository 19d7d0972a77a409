/**
 * Starts the workers of a gateway, looks whether they answer, and starts another in the place of one that has ended, after a pause that
 * grows while they keep ending. It keeps nothing that a worker needs.
 */
import cluster, { type Worker } from 'node:cluster';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '../observe/logger.ts';
import type { WorkersFigures } from '../observe/merged-health.ts';
import { EXIT } from '../process.ts';
import { Calls } from './calls.ts';
import { Channel } from './channel.ts';
import type { ToWorker } from './messages.ts';

export interface SupervisorOptions {
  readonly workers: number;
  readonly logger: Logger;
  /** A worker was started: to be told what it needs, and answered. */
  readonly onStart: (calls: Calls<ToWorker>, worker: number) => void;
  /** Another was started in the place of one that had ended. */
  readonly onRestart: () => void;
}

/** Why a gateway does not start: a worker did not. */
export class WorkerStartError extends Error {
  override readonly name = 'WorkerStartError';
  readonly code: number;
  readonly problems: readonly string[];

  constructor(code: number, problems: readonly string[]) {
    super(problems.join('; ') || 'a worker ended before it listened');
    this.code = code;
    this.problems = problems;
  }
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
/** How long workers may take to end beyond the time that they have for draining, in ms. */
const END_MS = 2000;

/** The place of a worker, and who has it. */
interface Slot {
  readonly worker: number;
  process: Worker;
  calls: Calls<ToWorker>;
  isServing: boolean;
  /** When it answered last, as of `performance.now()`. */
  heardAt: number;
  startedAt: number;
  /** The last pause before it was started. */
  pauseMs: number;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #startedAt = Date.now();
  readonly #slots = new Map<number, Slot>();
  readonly #serving = Promise.withResolvers<string>();
  #url: string | undefined;
  #restarts = 0;
  #isEnding = false;
  #isDraining = false;
  readonly #over = new AbortController();
  #pinging: NodeJS.Timeout | undefined;
  #pingedAt = 0;

  /** @param exec the file that a worker runs. */
  constructor(exec: string, options: SupervisorOptions) {
    this.#options = options;
    this.#serving.promise.catch(() => undefined);
    // Signals of a terminal go to all of its processes: the workers wait for the supervisor's word.
    cluster.setupPrimary({ exec, args: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'] });
  }

  /** Starts all of them. */
  start(): void {
    for (let worker = 1; worker <= this.#options.workers; worker += 1) this.#start(worker, 0);
    this.#pinging = setInterval(() => this.#ping(), PING_EVERY_MS);
  }

  /** Resolves to where they listen, once all do. @throws {WorkerStartError} */
  get serving(): Promise<string> {
    return this.#serving.promise;
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
  }

  #start(worker: number, pauseMs: number): void {
    const process = cluster.fork();
    const calls = new Calls<ToWorker>(new Channel(process.process.stdio[CHANNEL_FD] as Socket), `worker ${worker}`);
    const now = performance.now();
    const slot: Slot = { worker, process, calls, isServing: false, heardAt: now, startedAt: now, pauseMs };
    this.#slots.set(worker, slot);
    process.once('exit', (code, signal) => void this.#ended(slot, code, signal));
    process.on('error', (error) => this.#options.logger.error('a worker cannot be started', { worker, error }));
    this.#options.onStart(calls, worker);
  }

  async #ended(slot: Slot, code: number | null, signal: string | null): Promise<void> {
    const { worker, startedAt, pauseMs: lastPauseMs } = slot;
    const wasServing = slot.isServing;
    slot.isServing = false;
    if (this.#isEnding) return;
    if (this.#url === undefined) {
      this.#serving.reject(new WorkerStartError(code || EXIT.failed, []));
      return;
    }
    const isSettled = wasServing && performance.now() - startedAt >= SETTLED_MS;
    const pauseMs = lastPauseMs === 0 || isSettled ? FIRST_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, lastPauseMs * 2);
    this.#options.logger.error('a worker has ended: its clients resume on the others, and another is started', {
      worker,
      process: slot.process.process.pid,
      ...(signal === null ? { code } : { signal }),
      in_ms: pauseMs,
    });
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
      if (slot.process.isDead()) continue;
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

function exitOf(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    if (worker.isDead()) resolve();
    else worker.once('exit', () => resolve());
  });
}
