/** A gateway that is ended and started anew, on its port and with its log; and how many files it may open. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** Ends it when the benchmark has gone without a word. */
const ENDS_WITH_BENCHMARK = new URL('../demo/ends-with-demo.ts', import.meta.url).href;

export class GatewayProcess implements AsyncDisposable {
  readonly #env: NodeJS.ProcessEnv;
  readonly #files: number;
  #child: ChildProcess | undefined;
  #port = 0;

  private constructor(env: NodeJS.ProcessEnv, files: number) {
    this.#env = env;
    this.#files = files;
  }

  /** @param files it may open; as `filesWithin` says. */
  static async start(env: NodeJS.ProcessEnv, files: number): Promise<GatewayProcess> {
    const gateway = new GatewayProcess(env, files);
    await gateway.start();
    return gateway;
  }

  get port(): number {
    return this.#port;
  }

  /** Resolves when it listens: on the port that it had before. */
  async start(): Promise<void> {
    const command = ['-c', 'ulimit -n "$0" && exec "$@"', String(this.#files), process.execPath];
    const child = spawn('sh', [...command, '--import', ENDS_WITH_BENCHMARK, MAIN], {
      env: { ...this.#env, COURIER_PORT: String(this.#port), COURIER_LOG_FORMAT: 'json' },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    this.#child = child;
    const output = child.stdout as Readable;
    const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the gateway ended with ${code}`)));
    ended.catch(() => undefined);
    this.#port = await Promise.race([portIn(output), ended]);
    output.resume();
  }

  /** Resolves when it has ended. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
  }
}

/** The port in the line of its log that has its address. */
function portIn(output: Readable): Promise<number> {
  return new Promise((resolve) => {
    const lines = createInterface({ input: output });
    lines.on('line', (line) => {
      const { context } = JSON.parse(line) as { context?: { url?: string } };
      if (context?.url === undefined) return;
      lines.close();
      resolve(Number(new URL(context.url).port));
    });
  });
}

/** How many files a process may open: those that are wanted where the system permits that, or as many as it does permit. */
export function filesWithin(wanted: number): number {
  if (spawnSync('sh', ['-c', 'ulimit -n "$0"', String(wanted)], { stdio: 'ignore' }).status === 0) return wanted;
  return Number(spawnSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).stdout);
}
