/** A gateway in a process of its own to be fuzzed: watched, with a small heap, so that what is kept shows soon. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { CHANNEL, draft, SEEDED_CHANNEL } from './messages.ts';
import { GOOD_TOKEN, SECRET } from './tokens.ts';

/** What was seen of it since it was last asked. */
export interface Seen {
  /** For how long its event loop was held at the most, in ms of work. */
  readonly worstMs: number;
  /** What it keeps once garbage is collected. */
  readonly keptBytes: number;
  readonly rssBytes: number;
}

export interface FuzzedGateway extends AsyncDisposable {
  readonly url: string;
  /** Lines that it has logged as errors. */
  readonly errors: readonly string[];
  /** The exit code once it has ended. */
  readonly exitCode: number | null;
  look(): Promise<Seen>;
}

const UNLIMITED = { connections: null, publishPerSecond: null, publishPerMinute: null, subscribePerSecond: null, queriesPerSecond: null };
/** Events that are there for those who read much. */
const SEEDED = 500;

export async function startFuzzedGateway(): Promise<FuzzedGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'courier-fuzz-'));
  const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(
    process.execPath,
    ['--max-old-space-size=128', '--expose-gc', '--import', path('./watch.ts'), path('../../src/main.ts')],
    {
      env: {
        PATH: process.env['PATH'],
        COURIER_PORT: '0',
        COURIER_LOG: `sqlite:${join(folder, 'courier.db')}`,
        COURIER_JWT_SECRET: SECRET,
        COURIER_LOG_FORMAT: 'json',
        COURIER_TRUSTED_PROXIES: 'loopback',
        COURIER_LIMITS: JSON.stringify({
          admin: UNLIMITED,
          gateway: { connections: null, unauthenticatedPerAddress: null, failedAuthenticationsPerMinute: null },
        }),
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    },
  );
  const errors: string[] = [];
  const listening = Promise.withResolvers<string>();
  const exited = once(child, 'exit');
  createInterface({ input: child.stdout as Readable }).on('line', (line) => {
    const { level, context } = JSON.parse(line) as { level: string; context?: { url?: string } };
    if (context?.url !== undefined) listening.resolve(context.url);
    if (level === 'error' || level === 'fatal') errors.push(line);
  });
  createInterface({ input: child.stderr as Readable }).on('line', (line) => errors.push(line));
  void exited.then(([code]) => listening.reject(new Error(`the gateway ended with ${code}: ${errors.join('\n')}`)));
  const url = await listening.promise;
  await seed(url);
  // A line for each connection says nothing here.
  await ask(url, '/trpc/admin.setLogLevel', '{"json":{"level":"warn"}}');
  return {
    url,
    errors,
    get exitCode() {
      return child.exitCode;
    },
    look: async () => {
      const seen = once(child, 'message') as Promise<[Seen]>;
      child.send('look');
      const [first] = await Promise.race([seen, exited.then(() => Promise.reject(new Error('the gateway has ended')))]);
      return first;
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await exited;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function seed(url: string): Promise<void> {
  for (let n = 0; n < SEEDED; n += 1) {
    const body = draft(SEEDED_CHANNEL).replace('"progress":0.5', `"progress":0.5,"message":"${'x'.repeat(900)}"`);
    await publish(url, body);
  }
  await publish(url, draft(CHANNEL));
}

/** @throws when it is not stored. */
export async function publish(url: string, body: string): Promise<void> {
  await ask(url, '/publish', body);
}

async function ask(url: string, path: string, body: string): Promise<void> {
  const headers = { authorization: `Bearer ${GOOD_TOKEN}`, 'content-type': 'application/json' };
  const response = await fetch(url + path, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`${path} was answered with ${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
}
