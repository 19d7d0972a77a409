/**
 * The demo: a gateway and four services, each its own process, research moving-average strategies on twenty years of
 * the S&P 500. The terminal shows what a subscriber sees; at the end the figures are checked against the log. With
 * `--cluster` two gateways share PostgreSQL and Redis, and one of them is killed half-way. With `--keep` it all runs on
 * afterwards, and the research is repeated with other candidates until Ctrl-C.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { CourierClient, type CourierEvent } from '@lumiere/courier-client';
import { signToken } from '../../src/auth/tokens.ts';
import { eventLine } from '../cli/format.ts';
import { rendered } from '../cli/line.ts';
import { readOptions } from '../options.ts';
import { startPostgres, startRedis } from '../servers.ts';
import { startBalancer } from './balancer.ts';
import { CHECKED_JOBS } from './candidates.ts';
import { type ServiceProcess, startGateway, startService } from './processes.ts';
import { runRounds } from './rounds.ts';
import { summarise } from './summary.ts';

const TIMEOUT_MS = 60_000;
const CORRELATION_ID = 'research-2000-2020';
const PAGE = 1000;
/** Events after which a gateway of several is killed. */
const HALF_WAY = 40;

const HELP = `Usage: npm run demo -- [options]

Four services research trading strategies, and publish what they do to a gateway.

  --cluster   two gateways that share PostgreSQL and Redis, one of which is killed half-way
  --keep      leaves everything running to look at, until Ctrl-C
  --help
`;
const FLAG = { type: 'boolean', default: false } as const;
const { cluster: isCluster, keep: isKept } = readOptions('demo', HELP, { cluster: FLAG, keep: FLAG });
/** How long tokens are good for the research, and how long it is repeated at most, for which they are good too. */
const TOKEN_SECONDS = 600;
const KEPT_SECONDS = 8 * 60 * 60;

interface Demo {
  /** Whether the figures agree. */
  readonly ok: boolean;
  /** The dashboard's address, which signs in. */
  readonly dashboard: string;
  readonly client: CourierClient;
  readonly services: readonly ServiceProcess[];
  /** The one of them that sets things going. */
  readonly forge: ServiceProcess;
}

/** Starts everything, has the research done and checks it; what it started runs on, until `stack` is disposed of. */
async function research(stack: AsyncDisposableStack): Promise<Demo> {
  const folder = mkdtempSync(join(tmpdir(), 'courier-demo-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const settings = { secret: randomBytes(32).toString('base64url'), audience: 'courier', issuer: undefined };
  const tokenFor = (sub: string, role: 'service' | 'admin') =>
    signToken(settings, { sub, role, expiresInSeconds: TOKEN_SECONDS + (isKept ? KEPT_SECONDS : 0) });
  const base = { PATH: process.env['PATH'] };
  const gatewayEnv = { ...base, COURIER_PORT: '0', COURIER_LOG_FORMAT: 'json', COURIER_JWT_SECRET: settings.secret };
  const { url, crash } = await (isCluster ? startCluster(gatewayEnv, stack) : startSingle(gatewayEnv, folder, stack));
  const token = await tokenFor('demo', 'admin');
  // What stands behind # stays in the browser.
  const dashboard = `${url}/admin/#token=${token}`;
  console.log(`dashboard: ${dashboard}\n`);

  const client = stack.use(new CourierClient({ url, token, onGap: 'fail' }));
  const watched = await watch(client);
  void watched.until((events) => events.length >= HALF_WAY).then(crash);
  const start = async (name: string) =>
    startService(name, { ...base, COURIER_URL: url, COURIER_TOKEN: await tokenFor(name, 'service') }, stack);
  const [prophet, cartographe, chevalier, forge] = await Promise.all([
    start('prophet'),
    start('cartographe'),
    start('chevalier'),
    start('forge'),
  ]);
  const services = [prophet, cartographe, chevalier, forge];
  await Promise.all(services.map((service) => service.report('ready')));
  forge.send({ kind: 'begin', correlationId: CORRELATION_ID, jobs: CHECKED_JOBS });
  await Promise.all([chevalier.report('done'), watched.until((events) => events.filter(endsJob).length === CHECKED_JOBS.length)]);
  for (const service of services) service.send({ kind: 'count' });
  const reports = await Promise.all(services.map((service) => service.report('counted')));
  const published = reports.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  await watched.until((events) => events.length >= published);
  const ok = summarise({ correlationId: CORRELATION_ID, published, delivered: watched.events, stored: await readLog(client) });
  watched.end();
  return { ok, dashboard, client, services, forge };
}

interface Started {
  readonly url: string;
  /** Called half-way. */
  readonly crash: () => void;
}

async function startSingle(env: NodeJS.ProcessEnv, folder: string, stack: AsyncDisposableStack): Promise<Started> {
  const { url } = await startGateway({ ...env, COURIER_LOG: `sqlite:${join(folder, 'courier.db')}` }, stack);
  console.log(`gateway on ${url}, log in ${folder}`);
  return { url, crash: () => undefined };
}

async function startCluster(env: NodeJS.ProcessEnv, stack: AsyncDisposableStack): Promise<Started> {
  const postgres = stack.use(await startPostgres());
  const redis = stack.use(await startRedis());
  const shared = { ...env, COURIER_LOG: await postgres.createDatabase(), COURIER_BROKER: redis.url };
  const first = await startGateway(shared, stack);
  const second = await startGateway(shared, stack);
  const url = await startBalancer([first.url, second.url], stack);
  console.log(`gateways on ${first.url} and ${second.url} behind ${url}, log in PostgreSQL, broker Redis`);
  return {
    url,
    crash: () => {
      first.kill();
      console.log(rendered({ style: 'red', text: `${first.url} was killed` }));
    },
  };
}

function endsJob({ type }: CourierEvent): boolean {
  return type === 'forge.job.completed' || type === 'forge.job.failed';
}

interface Watched {
  readonly events: readonly CourierEvent[];
  until(done: (events: readonly CourierEvent[]) => boolean): Promise<void>;
  /** Watches no longer. */
  end(): void;
}

/** Subscribes to everything and prints it. Resolves once the subscription is live. */
async function watch(client: CourierClient): Promise<Watched> {
  const events: CourierEvent[] = [];
  const waiting = new Set<() => void>();
  const subscription = client.subscribe('**', (event) => {
    events.push(event);
    console.log(rendered(eventLine(event)));
    for (const check of waiting) check();
  });
  await subscription.live;
  const until = (done: (events: readonly CourierEvent[]) => boolean) =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (done(events)) resolve();
      };
      waiting.add(check);
      check();
    });
  return { events, until, end: () => subscription.unsubscribe() };
}

/** Every event of the log, page by page. */
async function readLog(client: CourierClient): Promise<CourierEvent[]> {
  const events: CourierEvent[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await client.history('**', { after, limit: PAGE });
    events.push(...page.events);
    if (!page.has_more) return events;
    after = page.next;
  }
}

/** Rejects when the demo is interrupted or takes too long. */
async function interrupted(signal: AbortSignal): Promise<never> {
  await wait(TIMEOUT_MS, undefined, { signal, ref: false }).catch(() => undefined);
  throw new Error(signal.aborted ? String(signal.reason) : `not done after ${TIMEOUT_MS / 1000} s`);
}

const ending = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => ending.abort(name));
const stack = new AsyncDisposableStack();
try {
  const { ok, dashboard, client, services, forge } = await Promise.race([research(stack), interrupted(ending.signal)]);
  if (ok && isKept) {
    console.log(`\nstill running, until Ctrl-C: ${dashboard}\n`);
    const over = AbortSignal.any([ending.signal, AbortSignal.timeout(KEPT_SECONDS * 1000)]);
    await Promise.race([runRounds(client, forge, over), ...services.map(({ crashed }) => crashed)]);
  } else if (process.stdout.isTTY) {
    console.log('\nnpm run demo -- --keep leaves it running, to look at');
  }
  process.exitCode = ok ? 0 : 1;
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  await stack.disposeAsync();
}
