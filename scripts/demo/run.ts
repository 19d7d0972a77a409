/**
 * The demo: a gateway and four services, each its own process, research moving-average strategies on twenty years of
 * the S&P 500. The terminal shows what a subscriber sees; at the end the figures are checked against the log. With
 * `--cluster` two gateways share PostgreSQL and Redis, and one of them is killed half-way.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CourierClient, type CourierEvent } from '@lumiere/courier-client';
import { signToken } from '../../src/auth/tokens.ts';
import { SERVICE_NAMES } from '../../src/contract/index.ts';
import { eventLine, paint } from '../cli/format.ts';
import { startPostgres, startRedis } from '../servers.ts';
import { startBalancer } from './balancer.ts';
import { type ServiceProcess, startGateway, startService } from './processes.ts';

const TIMEOUT_MS = 60_000;
const CORRELATION_ID = 'research-2000-2020';
const PAGE = 1000;
/** Events after which a gateway of several is killed. */
const HALF_WAY = 40;
const isCluster = process.argv.includes('--cluster');

async function run(stack: AsyncDisposableStack): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'courier-demo-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const settings = { secret: randomBytes(32).toString('base64url'), audience: 'courier', issuer: undefined };
  const tokenFor = (sub: string, role: 'service' | 'admin') => signToken(settings, { sub, role, expiresInSeconds: 600 });
  const base = { PATH: process.env['PATH'] };
  const gatewayEnv = { ...base, COURIER_PORT: '0', COURIER_LOG_FORMAT: 'json', COURIER_JWT_SECRET: settings.secret };
  const { url, crash } = await (isCluster ? startCluster(gatewayEnv, stack) : startSingle(gatewayEnv, folder, stack));

  const client = stack.use(new CourierClient({ url, token: await tokenFor('demo', 'admin'), onGap: 'fail' }));
  const watched = await watch(client);
  void watched.until((events) => events.length >= HALF_WAY).then(crash);
  const services: ServiceProcess[] = [];
  for (const name of SERVICE_NAMES) {
    services.push(startService(name, { ...base, COURIER_URL: url, COURIER_TOKEN: await tokenFor(name, 'service') }, stack));
  }
  await Promise.all(services.map((service) => service.report('ready')));
  const [forge, chevalier] = ['forge', 'chevalier'].map((name) => services.find((service) => service.name === name));
  forge?.send({ kind: 'begin', correlationId: CORRELATION_ID });
  await Promise.all([chevalier?.report('done'), watched.until((events) => events.filter(endsJob).length === 2)]);
  for (const service of services) service.send({ kind: 'stop' });
  const reports = await Promise.all(services.map((service) => service.report('stopped')));
  const published = reports.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  await watched.until((events) => events.length >= published);
  return summarise(watched.events, published, await readLog(client));
}

interface Started {
  readonly url: string;
  /** Called half-way. */
  readonly crash: () => void;
}

async function startSingle(env: NodeJS.ProcessEnv, folder: string, stack: AsyncDisposableStack): Promise<Started> {
  const { url } = await startGateway({ ...env, COURIER_LOG: `sqlite:${join(folder, 'courier.db')}` }, stack);
  console.log(`gateway on ${url}, log in ${folder}\n`);
  return { url, crash: () => undefined };
}

async function startCluster(env: NodeJS.ProcessEnv, stack: AsyncDisposableStack): Promise<Started> {
  const postgres = stack.use(await startPostgres());
  const redis = stack.use(await startRedis());
  const shared = { ...env, COURIER_LOG: await postgres.createDatabase(), COURIER_BROKER: redis.url };
  const first = await startGateway(shared, stack);
  const second = await startGateway(shared, stack);
  const url = await startBalancer([first.url, second.url], stack);
  console.log(`gateways on ${first.url} and ${second.url} behind ${url}, log in PostgreSQL, broker Redis\n`);
  return {
    url,
    crash: () => {
      first.kill();
      console.log(paint('red', `${first.url} was killed`));
    },
  };
}

function endsJob({ type }: CourierEvent): boolean {
  return type === 'forge.job.completed' || type === 'forge.job.failed';
}

interface Watched {
  readonly events: readonly CourierEvent[];
  until(done: (events: readonly CourierEvent[]) => boolean): Promise<void>;
}

/** Subscribes to everything and prints it. Resolves once the subscription is live. */
async function watch(client: CourierClient<'fail'>): Promise<Watched> {
  const events: CourierEvent[] = [];
  const waiting = new Set<() => void>();
  await client.subscribe('**', (event) => {
    events.push(event);
    console.log(eventLine(event));
    for (const check of waiting) check();
  }).live;
  const until = (done: (events: readonly CourierEvent[]) => boolean) =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (done(events)) resolve();
      };
      waiting.add(check);
      check();
    });
  return { events, until };
}

/** Every event of the log, page by page. */
async function readLog(client: CourierClient<'fail'>): Promise<CourierEvent[]> {
  const events: CourierEvent[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await client.history('**', { after, limit: PAGE });
    events.push(...page.events);
    if (!page.has_more) return events;
    after = page.next;
  }
}

function summarise(delivered: readonly CourierEvent[], published: number, stored: readonly CourierEvent[]): boolean {
  console.log(`\n${paint('bold', 'strategy      return  drawdown  sharpe  trades  won')}`);
  for (const event of delivered) {
    if (event.type !== 'backtest.completed') continue;
    const { total_return, max_drawdown, sharpe_ratio = 0, trades, win_rate = 0 } = event.data.metrics;
    const cells = [percent(total_return).padStart(8), percent(max_drawdown).padStart(8), sharpe_ratio.toFixed(2).padStart(7)];
    console.log(
      `${String(event.data.strategy_id).padEnd(11)} ${cells.join('  ')} ${String(trades).padStart(7)} ${percent(win_rate).padStart(6)}`,
    );
  }
  for (const event of delivered) {
    if ('code' in event.data) console.log(`${event.channel}: ${event.type}: ${event.data.message}`);
    if (event.type === 'forge.job.completed') console.log(`winner by Sharpe ratio: ${String(event.data.result?.['winner'])}`);
  }
  const received = new Set(delivered.map(({ id }) => id));
  const lost = stored.filter(({ id }) => !received.has(id)).length;
  const duplicated = delivered.length - received.size;
  const ordered = delivered.every(({ id }, index) => id === stored[index]?.id);
  const oneChain = stored.every(({ metadata }) => metadata.correlation_id === CORRELATION_ID);
  const ok = lost === 0 && duplicated === 0 && ordered && oneChain && stored.length === published;
  const figures = `published ${published}, stored ${stored.length}, delivered ${delivered.length}, lost ${lost}, duplicated ${duplicated}`;
  console.log(`\n${paint(ok ? 'green' : 'red', figures)}${ordered ? ', in the order of the log' : ', OUT OF ORDER'}`);
  return ok;
}

function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(1)}%`;
}

/** Rejects when the demo is interrupted or takes too long. */
function interrupted(stack: AsyncDisposableStack): Promise<never> {
  return new Promise((_resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not done after ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS);
    const onSignal = (signal: NodeJS.Signals) => reject(new Error(signal));
    process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
    stack.defer(() => {
      clearTimeout(timer);
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    });
  });
}

const stack = new AsyncDisposableStack();
try {
  process.exitCode = (await Promise.race([run(stack), interrupted(stack)])) ? 0 : 1;
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  await stack.disposeAsync();
}
