/**
 * The demo's processes: started with the demo, and ended with it, whatever ends it.
 *
 * Each is in a group of its own, so that Ctrl-C reaches the demo alone, which ends them in order. Each has a channel to the
 * demo, whose end tells it that the demo has gone without a word.
 */
import { type ChildProcess, fork, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { rendered } from '../cli/line.ts';
import type { Servers } from './servers.ts';
import type { Command, Report } from './service.ts';

const pathOf = (file: string) => fileURLToPath(new URL(file, import.meta.url));
/** Loaded before each program of Node.js. */
const ENDS_WITH_DEMO = ['--import', new URL('./ends-with-demo.ts', import.meta.url).href];
const IN_A_GROUP = { detached: true } as const;
/** What it prints is shown; the last is the channel. */
const SHOWN: StdioOptions = ['ignore', 'inherit', 'inherit', 'ipc'];

export interface GatewayProcess {
  readonly url: string;
  /** Ends it as a crash would, and for good. */
  kill(): void;
  /** Rejects when it has ended, and is not started again. */
  readonly crashed: Promise<never>;
}

/**
 * Starts a gateway on a free port.
 *
 * @param restarts how often it is started again, on the same port, when it ends.
 */
export async function startGateway(env: NodeJS.ProcessEnv, stack: AsyncDisposableStack, restarts = 0): Promise<GatewayProcess> {
  const launch = (port: string) =>
    begin(stack, () =>
      fork(pathOf('../../src/main.ts'), {
        ...IN_A_GROUP,
        env: { ...env, COURIER_PORT: port },
        execArgv: ENDS_WITH_DEMO,
        stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      }),
    );
  let child = launch('0');
  const url = await listening(child);
  let isKilled = false;
  const supervise = async (): Promise<never> => {
    for (let left = restarts; ; left -= 1) {
      await exited(child);
      if (isKilled || stack.disposed) return new Promise(() => undefined);
      if (left === 0) return crash(child, 'the gateway');
      console.log(rendered({ style: 'red', text: `the gateway on ${url} has ended, and is started again` }));
      child = launch(new URL(url).port);
      await listening(child);
    }
  };
  return {
    url,
    kill: () => {
      isKilled = true;
      child.kill('SIGKILL');
    },
    crashed: needNotBeAwaited(supervise()),
  };
}

/** Resolves to the gateway's address. */
async function listening(child: ChildProcess): Promise<string> {
  const url = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const { context } = JSON.parse(line) as { context?: { url?: string } };
      if (context?.url !== undefined) resolve(context.url);
    });
  });
  return Promise.race([url, crash(child, 'the gateway')]);
}

export interface ServiceProcess {
  readonly name: string;
  send(command: Command): void;
  /** Resolves to the report of this kind; rejects when the process ends before. */
  report<K extends Report['kind']>(kind: K): Promise<Extract<Report, { kind: K }>>;
  /** Rejects when the process ends. */
  readonly crashed: Promise<never>;
}

/** Starts a service of this folder. */
export function startService(name: string, env: NodeJS.ProcessEnv, stack: AsyncDisposableStack): ServiceProcess {
  const start = () => fork(pathOf(`./${name}.ts`), { ...IN_A_GROUP, env, execArgv: ENDS_WITH_DEMO, stdio: SHOWN });
  return serviceOf(name, begin(stack, start));
}

/** How a service in Python is run. */
export interface PythonProgram {
  readonly python: string;
  readonly args: readonly string[];
  /** Where it keeps its files. */
  readonly cwd: string;
}

/** Starts a service in Python, which has the same channel. */
export function startPythonService(
  name: string,
  { python, args, cwd }: PythonProgram,
  env: NodeJS.ProcessEnv,
  stack: AsyncDisposableStack,
): ServiceProcess {
  const start = () => spawn(python, args, { ...IN_A_GROUP, cwd, env, stdio: SHOWN });
  return serviceOf(name, begin(stack, start));
}

/** Starts PostgreSQL and Redis. */
export async function startServers(stack: AsyncDisposableStack): Promise<Servers> {
  const child = begin(stack, () => fork(pathOf('./servers.ts'), { ...IN_A_GROUP, stdio: SHOWN }));
  const [servers] = await Promise.race([once(child, 'message'), crash(child, 'what starts PostgreSQL and Redis')]);
  return servers;
}

function serviceOf(name: string, child: ChildProcess): ServiceProcess {
  const reports = new Map<Report['kind'], PromiseWithResolvers<Report>>();
  const of = (kind: Report['kind']) => {
    const waiting = reports.get(kind) ?? Promise.withResolvers<Report>();
    reports.set(kind, waiting);
    return waiting;
  };
  child.on('message', (report: Report) => of(report.kind).resolve(report));
  const crashed = needNotBeAwaited(crash(child, name));
  return {
    name,
    // One that has ended is told nothing more; `crashed` says so.
    send: (command) => child.send(command, () => undefined),
    report: async (kind) => (await Promise.race([of(kind).promise, crashed])) as Extract<Report, { kind: typeof kind }>,
    crashed,
  };
}

/** Starts a process that ends with the stack. */
function begin(stack: AsyncDisposableStack, start: () => ChildProcess): ChildProcess {
  if (stack.disposed) throw new Error('the demo ends');
  const child = start();
  stack.defer(async () => {
    if (hasEnded(child)) return;
    const gone = exited(child);
    child.kill('SIGTERM');
    await gone;
  });
  return child;
}

async function crash(child: ChildProcess, name: string): Promise<never> {
  await exited(child);
  throw new Error(`${name} ended with ${child.exitCode ?? child.signalCode}`);
}

async function exited(child: ChildProcess): Promise<void> {
  if (!hasEnded(child)) await once(child, 'exit');
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** The same promise, whose rejection need not be awaited by anybody. */
function needNotBeAwaited(promise: Promise<never>): Promise<never> {
  promise.catch(() => undefined);
  return promise;
}
