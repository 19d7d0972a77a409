/** A gateway in a process of its own to be fuzzed: what it logs as errors is kept, and its memory can be read. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { signToken } from '../../src/auth/tokens.ts';
import type { FuzzTarget } from './fuzzer.ts';

const SECRET = 'a-secret-for-fuzzing-of-at-least-32-bytes';
/** Limits would refuse most inputs before they are looked at. */
const LIMITS = { connections: null, publishPerSecond: null, publishPerMinute: null, subscribePerSecond: null, queriesPerSecond: null };

export interface FuzzedGateway extends FuzzTarget, AsyncDisposable {
  /** The exit code once it has ended. */
  readonly exitCode: number | null;
  rssBytes(): number;
}

export async function startFuzzedGateway(): Promise<FuzzedGateway> {
  const child = spawn(process.execPath, ['--max-old-space-size=96', fileURLToPath(new URL('../../src/main.ts', import.meta.url))], {
    env: {
      PATH: process.env['PATH'],
      COURIER_PORT: '0',
      COURIER_LOG: 'memory:',
      COURIER_JWT_SECRET: SECRET,
      COURIER_LOG_FORMAT: 'json',
      COURIER_LIMITS: JSON.stringify({
        admin: LIMITS,
        gateway: { connections: null, unauthenticatedPerAddress: null, failedAuthenticationsPerMinute: null },
      }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const errors: string[] = [];
  const listening = Promise.withResolvers<string>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { level, context } = JSON.parse(line) as { level: string; context?: { url?: string } };
    if (context?.url !== undefined) listening.resolve(context.url);
    if (level === 'error' || level === 'fatal') errors.push(line);
  });
  createInterface({ input: child.stderr }).on('line', (line) => errors.push(line));
  const exited = once(child, 'exit');
  void exited.then(([code]) => listening.reject(new Error(`the gateway ended with ${code}`)));
  const token = await signToken(
    { secret: SECRET, audience: 'courier', issuer: undefined },
    { sub: 'fuzz', role: 'admin', expiresInSeconds: 86_400 },
  );
  return {
    url: await listening.promise,
    token,
    errors,
    get exitCode() {
      return child.exitCode;
    },
    rssBytes: () => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0) * 1024,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await exited;
    },
  };
}
