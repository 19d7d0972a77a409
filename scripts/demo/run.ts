/**
 * The demo: a gateway and four services, each its own process, research moving-average strategies on twenty years of
 * the S&P 500. The terminal shows what a subscriber sees; at the end the figures and the state are checked against the log. With
 * `--cluster` two gateways share PostgreSQL and Redis, and one of them is killed half-way. With `--python` two of the
 * services are in Python. With `--keep` it all runs on afterwards, a page shows it, and the research is repeated with other
 * candidates until Ctrl-C.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CourierClient, type CourierEvent } from '@lumiere/courier-client';
import { signToken } from '../../src/auth/tokens.ts';
import { readOptions } from '../options.ts';
import { PYTHON, preparePython } from '../python-environment.ts';
import { makeTemporaryFolder } from '../temporary.ts';
import { BARS } from './bars.ts';
import { CHECKED_JOBS } from './candidates.ts';
import { startCluster, startSingle } from './gateways.ts';
import { startSite } from './page.ts';
import { type ServiceProcess, startPythonService, startService } from './processes.ts';
import { runRounds } from './rounds.ts';
import { type Gateway, summariseState } from './state.ts';
import { summarise } from './summary.ts';
import { readLog, type Watched, watch } from './watched.ts';

const TIMEOUT_MS = 60_000;
const CORRELATION_ID = 'research-2000-2020';
/** Events after which a gateway of several is killed. */
const HALF_WAY = 40;

const HELP = `Usage: npm run demo -- [options]

Four services research trading strategies, and publish what they do to a gateway.

  --cluster   two gateways that share PostgreSQL and Redis, one of which is killed half-way
  --python    two of the services in Python, with the Python package
  --keep      leaves everything running to look at, with a page, until Ctrl-C
  --help
`;
const FLAG = { type: 'boolean', default: false } as const;
const { cluster: isCluster, keep: isKept, python: isPython } = readOptions('demo', HELP, { cluster: FLAG, keep: FLAG, python: FLAG });
/** How long tokens are good for the research, and how long it is repeated at most, for which they are good too. */
const TOKEN_SECONDS = 600;
const KEPT_SECONDS = 8 * 60 * 60;
/** What a process of the demo has of this one's environment. */
const BASE_ENV = { PATH: process.env['PATH'], COURIER_WORKERS: process.env['COURIER_WORKERS'] };
/** Ctrl-C comes twice at once: npm passes on what the terminal has sent to both. Later it is somebody who does not want to wait. */
const SAME_SIGNAL_MS = 500;
/** What looks on may not hold up the end. */
const DRAIN_SECONDS = '2';
/** Whom the page is for, what that user may see, and how long one of its tokens is good. */
const PAGE_USER = { sub: 'ada', role: 'user', subscribe: ['strategy.*', 'backtest.*'], expiresInSeconds: 600 } as const;
const EXAMPLES = fileURLToPath(new URL('../../client/python/examples/', import.meta.url));
/** The services that the examples have in Python, with their arguments. */
const IN_PYTHON: Readonly<Record<string, readonly string[]>> = { prophet: [], cartographe: [BARS] };

interface Demo {
  /** Whether the figures agree. */
  readonly ok: boolean;
  /** Addresses to look at, where it runs on: the dashboard's, which signs in, and the page's. */
  readonly addresses: readonly string[];
  readonly client: CourierClient;
  /** Each rejects when a process has ended that the demo cannot do without. */
  readonly crashes: readonly Promise<never>[];
  /** The one of them that sets things going. */
  readonly forge: ServiceProcess;
}

/** Signs a token of a service, or of whoever looks on. */
type TokenFor = (sub: string, role: 'service' | 'admin') => Promise<string>;

/** Starts everything, has the research done and checks it; what it started runs on, until `stack` is disposed of. */
async function research(stack: AsyncDisposableStack): Promise<Demo> {
  const folder = makeTemporaryFolder('demo');
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const settings = { secret: randomBytes(32).toString('base64url'), audience: 'courier', issuer: undefined };
  const tokenFor: TokenFor = (sub, role) =>
    signToken(settings, { sub, role, expiresInSeconds: TOKEN_SECONDS + (isKept ? KEPT_SECONDS : 0) });
  const site = isKept ? await startSite(folder, () => signToken(settings, PAGE_USER), stack) : undefined;
  const env = {
    ...BASE_ENV,
    COURIER_LOG_FORMAT: 'json',
    COURIER_JWT_SECRET: settings.secret,
    COURIER_DRAIN_SECONDS: DRAIN_SECONDS,
    ...(site && { COURIER_ALLOWED_ORIGINS: site.origin }),
  };
  const { url, halfWay, crashed } = await (isCluster ? startCluster(env, stack) : startSingle(env, folder, stack));
  await site?.open(url);
  const token = await tokenFor('demo', 'admin');
  // What stands behind # stays in the browser.
  const addresses = site === undefined ? [] : [`dashboard: ${url}/admin/#token=${token}`, `page: ${site.origin}/`];
  console.log([...addresses, ''].join('\n'));
  const client = stack.use(new CourierClient({ url, token, onGap: 'fail' }));
  const watched = await watch(client);
  void watched.until((events) => events.length >= HALF_WAY).then(halfWay);
  const services = await startServices(url, folder, tokenFor, stack);
  const crashes = [...Object.values(services).map((service) => service.crashed), ...crashed];
  const ok = await Promise.race([check(services, watched, client, { url, token }), ...crashes]);
  watched.end();
  return { ok, addresses, client, crashes, forge: services.forge };
}

type Services = Readonly<Record<'prophet' | 'cartographe' | 'chevalier' | 'forge', ServiceProcess>>;

async function startServices(url: string, folder: string, tokenFor: TokenFor, stack: AsyncDisposableStack): Promise<Services> {
  const start = async (name: keyof Services) => {
    const env = { ...BASE_ENV, COURIER_URL: url, COURIER_TOKEN: await tokenFor(name, 'service') };
    const args = isPython ? IN_PYTHON[name] : undefined;
    if (args === undefined) return startService(name, env, stack);
    const cwd = join(folder, name);
    mkdirSync(cwd);
    return startPythonService(name, { python: PYTHON, args: [join(EXAMPLES, `${name}.py`), ...args], cwd }, env, stack);
  };
  const [prophet, cartographe, chevalier, forge] = await Promise.all([
    start('prophet'),
    start('cartographe'),
    start('chevalier'),
    start('forge'),
  ]);
  return { prophet, cartographe, chevalier, forge };
}

/** Has the research done. Resolves to whether everything that was published was delivered, and the state is what it made. */
async function check(services: Services, watched: Watched, client: CourierClient, gateway: Gateway): Promise<boolean> {
  const all = Object.values(services);
  await Promise.all(all.map((service) => service.report('ready')));
  services.forge.send({ kind: 'begin', correlationId: CORRELATION_ID, jobs: CHECKED_JOBS });
  const ended = watched.until((events) => events.filter(endsJob).length === CHECKED_JOBS.length);
  await Promise.all([services.chevalier.report('done'), ended]);
  for (const service of all) service.send({ kind: 'count' });
  const reports = await Promise.all(all.map((service) => service.report('counted')));
  const published = reports.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  await watched.until((events) => events.length >= published);
  const isDelivered = summarise({ correlationId: CORRELATION_ID, published, delivered: watched.events, stored: await readLog(client) });
  return (await summariseState(gateway)) && isDelivered;
}

function endsJob({ type }: CourierEvent): boolean {
  return type === 'forge.job.completed' || type === 'forge.job.failed';
}

/** Rejects when the demo is interrupted or takes too long. */
async function interrupted(signal: AbortSignal): Promise<never> {
  await wait(TIMEOUT_MS, undefined, { signal, ref: false }).catch(() => undefined);
  throw new Error(signal.aborted ? String(signal.reason) : `not done after ${TIMEOUT_MS / 1000} s`);
}

const ending = new AbortController();
let signalledAt = 0;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    if (!ending.signal.aborted) {
      signalledAt = performance.now();
      ending.abort(name);
    } else if (performance.now() - signalledAt > SAME_SIGNAL_MS) {
      // What has been started notices that the demo has gone.
      process.exit(1);
    }
  });
}
const stack = new AsyncDisposableStack();
try {
  if (isPython) preparePython();
  const { ok, addresses, client, crashes, forge } = await Promise.race([research(stack), interrupted(ending.signal)]);
  if (ok && isKept) {
    console.log(`\nstill running, until Ctrl-C\n${addresses.join('\n')}\n`);
    const over = AbortSignal.any([ending.signal, AbortSignal.timeout(KEPT_SECONDS * 1000)]);
    await Promise.race([runRounds(client, forge, over), ...crashes]);
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
// What was being started when the demo was interrupted has nothing left to wait for.
process.exit();
