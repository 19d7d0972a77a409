/** A gateway in a process of its own to be fuzzed: what it logs as errors is kept, and it is asked how it does. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { draft, SEEDED_CHANNEL } from './messages.ts';
import { times } from './random.ts';
import { GOOD_TOKEN, SECRET } from './tokens.ts';
import type { Question, Report } from './watch.ts';

/** Limits would refuse most inputs before they are looked at. */
const LIMITS = { connections: null, publishPerSecond: null, publishPerMinute: null, subscribePerSecond: null, queriesPerSecond: null };
/** Room for some dozens of the largest messages at once, so that what grows beyond that ends the process. */
const HEAP_MB = 256;
/** What there is to read for those who ask for much. */
const SEEDED_EVENTS = 490;
const SEEDED_TEXT = 'x'.repeat(1000);
const WATCH = new URL('./watch.ts', import.meta.url).href;
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface FuzzedGateway extends AsyncDisposable {
  readonly url: string;
  /** Lines that the gateway has logged as errors. */
  readonly errors: readonly string[];
  /** It takes nothing more, and says why in its errors. */
  readonly isEnding: boolean;
  /** @throws when the gateway has ended. */
  report(question: Question): Promise<Report>;
}

export async function startFuzzedGateway(): Promise<FuzzedGateway> {
  const child = spawn(process.execPath, [`--max-old-space-size=${HEAP_MB}`, '--expose-gc', '--import', WATCH, MAIN], {
    env: {
      PATH: process.env['PATH'],
      COURIER_PORT: '0',
      COURIER_LOG: 'memory:',
      COURIER_JWT_SECRET: SECRET,
      COURIER_LOG_FORMAT: 'json',
      COURIER_TRUSTED_PROXIES: 'loopback',
      COURIER_LIMITS: JSON.stringify({
        admin: LIMITS,
        gateway: { connections: null, unauthenticatedPerAddress: null, failedAuthenticationsPerMinute: null },
      }),
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const errors: string[] = [];
  let isEnding = false;
  const listening = Promise.withResolvers<string>();
  createInterface({ input: child.stdout as Readable }).on('line', (line) => {
    // Most lines tell of connections, and there are many.
    if (line.includes('"level":"ERROR"')) errors.push(line);
    else if (line.includes('draining')) {
      isEnding = true;
      errors.push(line);
    } else if (line.includes('listening on')) listening.resolve((JSON.parse(line) as { context: { url: string } }).context.url);
  });
  createInterface({ input: child.stderr as Readable }).on('line', (line) => errors.push(line));
  const exited = once(child, 'exit');
  const ended = exited.then(([code, signal]) => Promise.reject(new Error(`the gateway ended with ${code ?? signal}: ${errors.at(-1)}`)));
  ended.catch((error: Error) => {
    isEnding = true;
    errors.push(error.message);
    listening.reject(error);
  });
  const gateway: FuzzedGateway = {
    url: await listening.promise,
    errors,
    get isEnding() {
      return isEnding;
    },
    report: async (question) => {
      if (!child.connected) return ended;
      const answer = once(child, 'message') as Promise<[Report]>;
      child.send(question);
      const [report] = await Promise.race([answer, ended]);
      return report;
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
    },
  };
  try {
    await seed(gateway.url);
  } catch (error) {
    await gateway[Symbol.asyncDispose]();
    throw error;
  }
  return gateway;
}

async function seed(url: string): Promise<void> {
  const small = draft(SEEDED_CHANNEL).replace('"progress":0.5', `"progress":0.5,"message":"${SEEDED_TEXT}"`);
  // Of the shape that is the dearest to walk.
  const large = `{"type":"forge.job.completed","channel":"${SEEDED_CHANNEL}","data":{"job_id":"j","result":{"a":[${times(30_000, () => '[]').join(',')}]}}}`;
  const body = `{"json":[${[...times(SEEDED_EVENTS, () => small), large, large, large].join(',')}]}`;
  const headers = { authorization: `Bearer ${GOOD_TOKEN}`, 'content-type': 'application/json' };
  const response = await fetch(`${url}/trpc/events.publishBatch`, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`events could not be published: ${await response.text()}`);
}
