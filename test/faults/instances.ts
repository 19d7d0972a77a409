/** Gateways that share a log, each in a process of its own, and each back on its own port after it has ended. */
import { sharedEnv } from '../helpers/cluster.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { type GatewayProcess, startProcess } from '../helpers/process.ts';

export interface Instances extends AsyncDisposable {
  readonly urls: readonly string[];
  process(index: number): GatewayProcess;
  /** Ends an instance and starts it again; resolves to its exit code, or the signal that ended it. */
  restart(index: number, signal: NodeJS.Signals): Promise<number | string>;
  /** Waits for an instance to end by itself, and starts it again as a supervisor does; resolves to its exit code, or the signal. */
  restarted(index: number): Promise<number | string>;
  /** Ends them all before the first is started again. */
  restartAll(signal: NodeJS.Signals): Promise<void>;
}

/** How often a start is tried again that fails: what it stands on may not be there yet. */
const MAX_STARTS = 20;

/** @param envs of each instance. */
export async function startInstances(envs: readonly Readonly<Record<string, string>>[]): Promise<Instances> {
  await using stack = new AsyncDisposableStack();
  const running: { process: GatewayProcess; readonly env: Record<string, string> }[] = [];
  for (const env of envs) {
    const process = await startProcess(env);
    const one = { process, env: { ...env, COURIER_PORT: new URL(process.url).port } };
    running.push(one);
    stack.defer(() => one.process[Symbol.asyncDispose]());
  }
  const at = (index: number) => running[index] as (typeof running)[number];
  const resources = stack.move();
  return {
    urls: running.map(({ process }) => process.url),
    process: (index) => at(index).process,
    restart: async (index, signal) => {
      const one = at(index);
      const code = await one.process.end(signal);
      one.process = await startProcess(one.env);
      return code;
    },
    restarted: async (index) => {
      const one = at(index);
      const code = await one.process.ended;
      for (let tries = 1; ; tries += 1) {
        try {
          one.process = await startProcess(one.env);
          return code;
        } catch (error) {
          if (tries === MAX_STARTS) throw error;
        }
      }
    },
    restartAll: async (signal) => {
      await Promise.all(running.map(({ process }) => process.end(signal)));
      for (const one of running) one.process = await startProcess(one.env);
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** One instance, with its log in a file. */
export async function startEmbedded(env: Readonly<Record<string, string>> = {}): Promise<Instances> {
  const folder = temporaryFolder();
  const instances = await startInstances([{ COURIER_LOG: `sqlite:${folder.file('courier.db')}`, ...env }]);
  return {
    ...instances,
    [Symbol.asyncDispose]: async () => {
      await instances[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

/** What gateways can stand on, for what must be true of each. */
export const FOUNDATIONS: readonly { readonly name: string; start(): Promise<Instances> }[] = [
  { name: 'one instance', start: () => startEmbedded() },
  { name: 'two workers', start: () => startEmbedded({ COURIER_WORKERS: '2' }) },
  {
    name: 'two instances',
    start: async () => {
      const env = await sharedEnv();
      return startInstances([env, env]);
    },
  },
];
