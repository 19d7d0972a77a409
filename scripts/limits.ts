/** `npm run test:limits`: drives a gateway beyond its limits, and prints what it let through. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createTRPCClient, createWSClient, TRPCClientError, wsLink } from '@trpc/client';
import superjson from 'superjson';
import { signToken } from '../src/auth/tokens.ts';
import type { Role } from '../src/contract/admin.ts';
import { DEFAULT_LIMITS } from '../src/limits/limits.ts';
import type { AppRouter } from '../src/router/index.ts';
import { readOptions } from './options.ts';

const SECRET = 'a-secret-for-limits-of-at-least-32-bytes';
const HELP = `Usage: npm run test:limits -- [--seconds 30]

Drives a gateway beyond its limits, and prints what it let through.
`;
/** Long enough to see a minute's limit at work. */
const values = readOptions('test:limits', HELP, { seconds: { type: 'string', default: '30' } });
const SECONDS = Number(values.seconds);
const MINUTE_MS = 60_000;

interface Case {
  readonly name: string;
  readonly role: Role;
  readonly sub: string;
  /** Calls at once. */
  readonly inFlight: number;
  readonly perSecond: number;
  readonly perMinute: number | null;
}

const { user, service } = DEFAULT_LIMITS;
const CASES: Case[] = [
  {
    name: 'a user, as fast as it is told',
    role: 'user',
    sub: 'ada',
    inFlight: 1,
    perSecond: user.publishPerSecond ?? 0,
    perMinute: user.publishPerMinute,
  },
  {
    name: 'a service, as fast as it can',
    role: 'service',
    sub: 'forge',
    inFlight: 100,
    perSecond: service.publishPerSecond ?? 0,
    perMinute: service.publishPerMinute,
  },
];

const child = spawn(process.execPath, [fileURLToPath(new URL('../src/main.ts', import.meta.url))], {
  env: { PATH: process.env['PATH'], COURIER_PORT: '0', COURIER_LOG: 'memory:', COURIER_JWT_SECRET: SECRET, COURIER_LOG_FORMAT: 'json' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
// Whatever goes wrong, the gateway ends with this.
process.on('exit', () => child.kill('SIGKILL'));
const url = await new Promise<string>((resolve) => {
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { context } = JSON.parse(line) as { context?: { url?: string } };
    if (context?.url !== undefined) resolve(context.url);
  });
});

let exceeded = false;
process.stdout.write(`${SECONDS} s each, with the default limits\n\n`);
process.stdout.write(
  '                               limit/s  limit/min  asked  admitted  refused  admitted/s  most in 1 s  most in 60 s\n',
);
for (const one of CASES) {
  const { admittedAt, refused } = await drive(one);
  const [perSecond, perMinute] = [mostWithin(admittedAt, 1000), mostWithin(admittedAt, MINUTE_MS)];
  const cells = [
    one.perSecond,
    one.perMinute ?? 'none',
    admittedAt.length + refused,
    admittedAt.length,
    refused,
    (admittedAt.length / SECONDS).toFixed(1),
    perSecond,
    perMinute,
  ];
  const widths = [9, 11, 7, 10, 9, 12, 13, 14];
  process.stdout.write(`${one.name.padEnd(29)}${cells.map((cell, index) => String(cell).padStart(widths[index] ?? 0)).join('')}\n`);
  // A bucket that is full lets its burst through at once, and what is refilled meanwhile.
  exceeded ||= perSecond > 2 * one.perSecond || (one.perMinute !== null && perMinute > 2 * one.perMinute);
}
child.kill('SIGTERM');
await once(child, 'exit');
process.stdout.write(
  exceeded ? '\na limit was exceeded\n' : '\nno limit was exceeded: at most the burst and what is refilled, in any interval\n',
);
process.exitCode = exceeded ? 1 : 0;

async function drive({ role, sub, inFlight }: Case): Promise<{ admittedAt: number[]; refused: number }> {
  const publish = role === 'user' ? ['forge.job.*'] : [];
  const token = await signToken({ secret: SECRET, audience: 'courier', issuer: undefined }, { sub, role, publish, expiresInSeconds: 600 });
  const ws = createWSClient({ url: `${url.replace('http', 'ws')}/trpc`, connectionParams: { token } });
  const courier = createTRPCClient<AppRouter>({ links: [wsLink({ client: ws, transformer: superjson })] });
  const admittedAt: number[] = [];
  let refused = 0;
  let pausedUntil = 0;
  const endsAt = performance.now() + SECONDS * 1000;
  const draft = { type: 'forge.job.progress', channel: 'forge.job.limits', data: { job_id: 'limits', progress: 0.5 } } as const;
  const publisher = async () => {
    while (performance.now() < endsAt) {
      // Whoever is told to wait waits with everything.
      const pause = Math.min(pausedUntil, endsAt) - performance.now();
      if (pause > 0) {
        await new Promise((resolve) => setTimeout(resolve, pause));
        continue;
      }
      try {
        await courier.events.publish.mutate(draft);
        admittedAt.push(performance.now());
      } catch (error) {
        const retryAfterMs = error instanceof TRPCClientError ? (error.data as { retryAfterMs?: number } | null)?.retryAfterMs : undefined;
        if (retryAfterMs === undefined) throw error;
        refused += 1;
        pausedUntil = Math.max(pausedUntil, performance.now() + retryAfterMs);
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, publisher));
  await ws.close();
  return { admittedAt, refused };
}

function mostWithin(times: readonly number[], windowMs: number): number {
  let most = 0;
  let first = 0;
  for (const [last, time] of times.entries()) {
    while (time - (times[first] as number) >= windowMs) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
