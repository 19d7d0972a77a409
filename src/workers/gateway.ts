/** A gateway of several workers: its supervisor, and what the workers share, in the order of their dependencies. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { developmentSecret } from '../auth/development-secret.ts';
import { openSwitchedLog, type SwitchedLog, storesBeside } from '../backends/embedded.ts';
import { before } from '../before.ts';
import { type Config, ConfigError, limitsOfChannels } from '../config.ts';
import type { Contract } from '../contract/contract.ts';
import { tendLog } from '../log/tending.ts';
import { type ErrorHook, Failures } from '../observe/failures.ts';
import type { Logger } from '../observe/logger.ts';
import { noMeter } from '../observe/meter.ts';
import { listenProblem } from '../transport/listen-problem.ts';
import { contractHash } from '../version.ts';
import { Machine } from './machine.ts';
import type { SharedPort } from './messages.ts';
import { MachineMetrics } from './metrics.ts';
import { Supervisor } from './supervisor.ts';

export interface WorkersOptions {
  readonly contract: Contract;
  readonly logger: Logger;
  /** Ends a start that waits for something. */
  readonly signal: AbortSignal;
  /** Told of every failure of the supervisor that is no caller's fault. */
  readonly onError?: ErrorHook | undefined;
}

/** What runs, in one process or several. */
export interface Running extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly failures: Failures;
  readonly broken: Promise<void>;
}

/**
 * Starts a gateway of several workers. Disposing it drains them all, and closes the log last.
 *
 * @throws as `createGateway`; {WorkerStartError} when a worker does not start.
 */
export async function createWorkers(config: Config, { contract, logger, signal, onError }: WorkersOptions): Promise<Running> {
  signal.throwIfAborted();
  if (!isMainThread) throw new ConfigError('COURIER_WORKERS must be 1 here: only the main thread of a process can start workers');
  limitsOfChannels(config, contract);
  if (config.jwt.jwksUrl === undefined && config.jwt.secrets.length === 0) developmentSecret(config.log);
  await using stack = new AsyncDisposableStack();
  const held = stack.use(await holdPort(config));
  const { port, reusePort } = held;
  const metrics = new MachineMetrics({
    running: () => supervisor.figures.running,
    health: async () => (await machine).health(),
  });
  const failures = new Failures({ meter: { ...noMeter, failed: (kind) => metrics.failed(kind) }, logger, hook: onError });
  const broken = Promise.withResolvers<void>();
  const opening = openEmbedded(config, { contract, failures, logger, onBroken: broken.resolve, signal });
  const machine = opening.then((embedded) => {
    const welcome = { workers: config.workers, instance: randomUUID(), startedAt: Date.now(), contract: contractHash(contract) };
    return new Machine({
      welcome,
      embedded: embedded && { ...embedded, ...storesBeside(config.log, failures) },
      metrics,
      logger,
      workers: () => supervisor.figures,
      port: async (worker) => {
        await supervisor.ready(worker);
        // All of them are about to listen: nobody else comes before.
        await held[Symbol.asyncDispose]();
        // Where none of them is there any more, somebody may have come meanwhile.
        if (supervisor.isServing && supervisor.figures.running === 0) await close(await listenAlone(config, port));
        return { port, reusePort };
      },
      onListening: (worker, url) => supervisor.listening(worker, url),
      onEnding: (worker, code, problems) => supervisor.ending(worker, code, problems),
    });
  });
  machine.catch(() => undefined);
  const supervisor: Supervisor = new Supervisor(workerFile(), {
    workers: config.workers,
    logger,
    // They start while the log is opened.
    onStart: (calls, worker) => machine.then((opened) => opened.join(calls, worker)),
    onRestart: () => metrics.restarted(),
    onNobody: (ms) => {
      failures.report('process', `no worker has served for ${ms / 1000} s`, undefined);
      broken.resolve();
    },
  });
  supervisor.start();
  let isDrained = false;
  stack.defer(() => (isDrained ? undefined : supervisor.kill()));
  const embedded = await opening;
  if (embedded !== undefined) {
    stack.use(embedded);
    stack.use(tendLog(embedded.own, { retentionMs: config.retentionMs, failures, logger }));
  }
  stack.use(await machine);
  const url = await before(signal, supervisor.serving).catch((error: unknown) => {
    throw signal.aborted ? signal.reason : error;
  });
  stack.defer(async () => {
    isDrained = true;
    await supervisor.drain(config.drainMs);
  });
  const resources = stack.move();
  return { url, port, failures, broken: broken.promise, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** The log that the supervisor has for its workers; undefined where it is a server's, which each worker has by itself. */
async function openEmbedded(config: Config, deps: Parameters<typeof openSwitchedLog>[1]): Promise<SwitchedLog | undefined> {
  return config.log.kind === 'sqlite' ? openSwitchedLog(config.log, deps) : undefined;
}

/** Sources run as they are, packages as JavaScript. */
function workerFile(): string {
  return fileURLToPath(new URL(`../worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));
}

/** A port that is kept from others until the workers listen there. */
interface HeldPort extends SharedPort, AsyncDisposable {}

/**
 * Takes the port as one process would: workers would share that of another gateway, too, without a word.
 * @throws in words that name the variable.
 */
async function holdPort(config: Config): Promise<HeldPort> {
  const { host } = config;
  const first = await listenAlone(config, config.port);
  const { port } = first.address() as AddressInfo;
  await close(first);
  const reusePort = await listen({ host, port, reusePort: true }).then(
    async (server) => {
      await close(server);
      return true;
    },
    () => false,
  );
  const held = await listenAlone(config, port);
  let closing: Promise<void> | undefined;
  return { port, reusePort, [Symbol.asyncDispose]: () => (closing ??= close(held)) };
}

/** @throws in words that name the variable. */
function listenAlone(config: Config, port: number): Promise<Server> {
  return listen({ host: config.host, port }).catch((error: unknown) => {
    throw listenProblem(config, error);
  });
}

/** Nobody who comes is served. */
async function listen(address: { readonly host: string; readonly port: number; readonly reusePort?: boolean }): Promise<Server> {
  const server = createServer((socket) => socket.destroy()).listen(address);
  await once(server, 'listening');
  return server;
}

async function close(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}
