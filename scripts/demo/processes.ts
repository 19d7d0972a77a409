/** The demo's processes: started with the demo, ended with it, and a crash of one is a failure of all. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Command, Report } from './service.ts';

export interface ServiceProcess {
  readonly name: string;
  send(command: Command): void;
  /** Resolves to the report of this kind; rejects when the process ends before. */
  report<K extends Report['kind']>(kind: K): Promise<Extract<Report, { kind: K }>>;
  /** Rejects when the process ends. */
  readonly crashed: Promise<never>;
}

const pathOf = (file: string) => fileURLToPath(new URL(file, import.meta.url));

export interface GatewayProcess {
  readonly url: string;
  /** Ends it as a crash would. */
  kill(): void;
}

/** Starts a gateway on a free port. */
export async function startGateway(env: NodeJS.ProcessEnv, stack: AsyncDisposableStack): Promise<GatewayProcess> {
  const child = spawn(process.execPath, [pathOf('../../src/main.ts')], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  stack.defer(() => end(child, 'SIGTERM'));
  const url = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { context } = JSON.parse(line) as { context?: { url?: string } };
      if (context?.url !== undefined) resolve(context.url);
    });
  });
  return { url: await Promise.race([url, crash(child, 'the gateway')]), kill: () => child.kill('SIGKILL') };
}

/** Starts a service. */
export function startService(name: string, env: NodeJS.ProcessEnv, stack: AsyncDisposableStack): ServiceProcess {
  const child = fork(pathOf(`./${name}.ts`), { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  stack.defer(() => end(child, 'SIGTERM'));
  const reports = new Map<Report['kind'], PromiseWithResolvers<Report>>();
  const of = (kind: Report['kind']) => {
    const waiting = reports.get(kind) ?? Promise.withResolvers<Report>();
    reports.set(kind, waiting);
    return waiting;
  };
  child.on('message', (report: Report) => of(report.kind).resolve(report));
  const crashed = crash(child, name);
  crashed.catch(() => undefined);
  return {
    name,
    send: (command) => child.send(command),
    report: async (kind) => (await Promise.race([of(kind).promise, crashed])) as Extract<Report, { kind: typeof kind }>,
    crashed,
  };
}

/** Rejects when the process ends. Ctrl-C is no crash: it reaches every process of the demo, in any order, and the demo ends itself. */
async function crash(child: ChildProcess, name: string): Promise<never> {
  const [code, signal] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode, null];
  if (signal === 'SIGINT') return new Promise(() => undefined);
  throw new Error(`${name} ended with ${code ?? signal}`);
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, 'exit');
}
