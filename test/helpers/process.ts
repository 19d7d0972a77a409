/** A gateway in a process of its own, for tests that kill it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { signToken } from '../../src/auth/tokens.ts';
import type { Role } from '../../src/contract/admin.ts';
import { ENVIRONMENT } from './environment.ts';
import { SECRET, TOKENS, UNLIMITED } from './gateway.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface GatewayProcess extends AsyncDisposable {
  readonly url: string;
  readonly child: ChildProcess;
  /** Resolves when it has ended, to the exit code or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** Sends a signal and resolves to the exit code, or the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<number | string>;
  /** The most memory it has held so far (Linux; 0 elsewhere and once it has ended). */
  peakRssBytes(): number;
}

/**
 * Starts `src/main.ts` and resolves when it listens; rejects with its standard error when it ends before.
 *
 * @param options.under a command to run it with; `main` is that of another tree.
 */
export async function startProcess(
  env: Record<string, string>,
  { under = [], main = MAIN }: { under?: readonly string[]; main?: string } = {},
): Promise<GatewayProcess> {
  const [command = process.execPath, ...args] = [...under, process.execPath, main];
  const child = spawn(command, args, {
    env: {
      ...ENVIRONMENT,
      COURIER_PORT: '0',
      COURIER_JWT_SECRET: SECRET,
      COURIER_LOG_FORMAT: 'json',
      COURIER_LIMITS: UNLIMITED,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const listening = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { context } = JSON.parse(line) as { context?: { url?: string } };
      if (context?.url !== undefined) resolve(context.url);
    });
  });
  const url = await Promise.race([
    listening,
    exited.then((code) => {
      throw new Error(`the gateway ended with ${code}: ${stderr.trim()}`);
    }),
  ]);
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return exited;
  };
  return {
    url,
    child,
    ended: exited,
    end,
    peakRssBytes: () => peakRssBytes(child.pid),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) await end('SIGKILL');
    },
  };
}

function peakRssBytes(pid: number | undefined): number {
  try {
    const [, kilobytes = '0'] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes) * 1024;
  } catch {
    return 0;
  }
}

export function processToken(sub: string, role: Role, expiresInSeconds = 600): Promise<string> {
  return signToken(TOKENS, { sub, role, expiresInSeconds });
}
