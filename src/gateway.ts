/**
 * The composition root: builds the gateway in the order of its dependencies, drains it, and closes it in reverse.
 */
// First: some libraries take JSON.parse when they are loaded.
import './transport/json-parse.ts';
import { createAdministration } from './administration.ts';
import { developmentSecret } from './auth/development-secret.ts';
import { Revocations } from './auth/revocations.ts';
import { type TokenSettings, tokenVerifier } from './auth/tokens.ts';
import { openBackends } from './backends.ts';
import { before } from './before.ts';
import { type Config, limitsOfChannels } from './config.ts';
import { clientAddress } from './connections/client-address.ts';
import type { Connection } from './connections/connection.ts';
import { ConnectionLog } from './connections/connection-log.ts';
import { type Census, Connections } from './connections/connections.ts';
import { TIMINGS, type Timings } from './connections/timings.ts';
import type { ClientIdentity } from './contract/admin.ts';
import type { Contract } from './contract/contract.ts';
import { openPipeline } from './delivery/pipeline.ts';
import { tendLog } from './log/tending.ts';
import { EventLoopDelay } from './observe/event-loop.ts';
import { type ErrorHook, Failures } from './observe/failures.ts';
import { foreignEventWarnings } from './observe/foreign-events.ts';
import { createHealth } from './observe/health.ts';
import { createLogger, type Logger } from './observe/logger.ts';
import { noMeter } from './observe/meter.ts';
import { createMetrics } from './observe/metrics.ts';
import { Outage } from './observe/outage.ts';
import { PublicationLog } from './observe/publications.ts';
import { Rates } from './observe/rates.ts';
import { collectStats } from './observe/stats.ts';
import { createTracing } from './observe/tracing.ts';
import { createRouter } from './router/index.ts';
import { LiveState, type StateSettings } from './state/live-state.ts';
import type { Served } from './state/served.ts';
import { listenProblem } from './transport/listen-problem.ts';
import { type Listener, listen } from './transport/server.ts';
import { SocketRoom } from './transport/socket-room.ts';
import { UsageRecorder } from './usage/recorder.ts';
import { contractHash, VERSION } from './version.ts';
import type { Link } from './workers/link.ts';

/** Makes the configuration of the gateway from variables as in the environment. */
export { type Config, ConfigError, parseConfig } from './config.ts';

/** How often revocations of other instances are looked for, in ms. */
const REVOCATIONS_REFRESH_MS = 5000;

export interface Gateway extends AsyncDisposable {
  /** Where it listens, with the base path: `http://127.0.0.1:8766/courier`. */
  readonly url: string;
  readonly port: number;
  /** For programs that run a gateway within their own process. */
  readonly pipeline: Served;
  readonly failures: Failures;
  /** Resolves when a part of it is beyond repair, and was reported: dispose of it and start another. */
  readonly broken: Promise<void>;
  /** Counts of everything that is connected: all zero once it has been disposed of. */
  readonly census: Census;
  /** Takes no new connections: others who listen on its port do. It is to be disposed of then. */
  leavePort(): void;
  /** With what its tokens are signed; undefined when only others have the keys. */
  readonly tokens: TokenSettings | undefined;
}

export interface GatewayOptions {
  /** What it serves. */
  readonly contract: Contract;
  readonly logger?: Logger;
  /** Ends a start that waits for something. */
  readonly signal?: AbortSignal;
  /** Told of every failure that is no caller's fault. */
  readonly onError?: ErrorHook | undefined;
  /** How long clients may take. */
  readonly timings?: Partial<Timings>;
  /** How the states of entities are kept. */
  readonly state?: Partial<StateSettings> | undefined;
  /** To what the workers of an instance share, where this is one of several. */
  readonly link?: Link | undefined;
  /** False counts nothing, to measure what counting costs. */
  readonly metered?: boolean;
  /** Where the dashboard's build lies; by default where `npm run build:dashboard` leaves it. */
  readonly dashboardFolder?: string;
}

/**
 * Starts a gateway. Disposing it drains it: what is in flight is finished, every connection closed with 1001, the log
 * closed last.
 *
 * @throws an error whose message is one line, when the log cannot be opened or the address not be listened on; why `signal` was aborted.
 * Nothing is left open then.
 */
export async function createGateway(config: Config, options: GatewayOptions): Promise<Gateway> {
  const { contract, link, signal = new AbortController().signal } = options;
  signal.throwIfAborted();
  const ratesOfChannels = limitsOfChannels(config, contract);
  const logger = options.logger ?? createLogger(config);
  const startedAt = link?.welcome.startedAt ?? Date.now();
  await using stack = new AsyncDisposableStack();
  const metrics = createMetrics({
    contract,
    connections: () => connections.counts,
    clients: () => connections.open.map(identityOf),
    channels: () => pipeline.hub.topics,
    subscriptions: () => pipeline.hub.subscribers,
    bounds: () => log.bounds(),
    bytes: () => log.bytes(),
    freeBytes: () => log.freeBytes,
    health: () => health(),
    logReads: () => pipeline.reads.count,
    tailRepairs: () => pipeline.tail.repairs,
    brokerIsUp: () => broker.problem === undefined,
    instances: () => peers.instances,
    states: () => states.figures,
  });
  const meter = options.metered === false ? noMeter : metrics;
  const failures = new Failures({ meter, logger, hook: options.onError });
  const broken = Promise.withResolvers<void>();
  const { log, broker, peers, siblings, ...backends } = stack.use(
    await openBackends(config, { contract, failures, logger, onBroken: broken.resolve, signal, link }),
  );
  if (link?.welcome.log === undefined) stack.use(tendLog(log, { retentionMs: config.retentionMs, failures, logger }));
  const usage = stack.use(
    new UsageRecorder({
      store: backends.usage,
      contract,
      subscribed: () => connections.open,
      onError: (error) => failures.report('log', 'who uses the contract cannot be stored; that is tried again each minute', error),
      onLost: (error) =>
        logger
          .named('usage')
          .warn('who used the contract lately could not be stored, and is lost', error instanceof Error ? { reason: error.message } : {}),
      onRecovered: () => logger.named('usage').info('who uses the contract is stored again'),
    }),
  );
  const draining = new AbortController();
  const events = stack.use(
    await openedBefore(
      signal,
      openPipeline({
        contract,
        log,
        broker,
        draining: draining.signal,
        meter,
        publications: stack.use(new PublicationLog(logger.named('publish'))),
        tracing: createTracing(logger.named('delivery')),
        usage,
        retentionMs: config.retentionMs,
        onError: (error) => failures.report('log', 'the log cannot be read', error),
        present: foreignEventWarnings(contract, log, logger.named('contract')),
      }),
    ),
  );
  const states = stack.use(
    await before(
      signal,
      LiveState.open({
        contract,
        pipeline: events,
        keepMs: config.stateMs,
        failures,
        logger: logger.named('state'),
        settings: options.state,
      }),
    ),
  );
  const pipeline: Served = { ...events, states };
  const { audience, issuer, jwksUrl, maxLifetimeMs } = config.jwt;
  const secrets = jwksUrl !== undefined || config.jwt.secrets.length > 0 ? config.jwt.secrets : [developmentSecret(config.log)];
  const { verify, known } = stack.use(tokenVerifier({ contract, secrets, jwksUrl, audience, issuer, maxLifetimeMs }));
  const timings = { ...TIMINGS, ...options.timings };
  const connections = new Connections({
    verify,
    known,
    revocations: await before(signal, Revocations.open(backends.revocations, maxLifetimeMs)),
    limiter: backends.limiter,
    counts: backends.connections,
    room: backends.room,
    limits: config.limits,
    channelRates: ratesOfChannels,
    allowedOrigins: config.allowedOrigins,
    addressOf: clientAddress(config.trustedProxies),
    elsewhere: {
      oldestStreams: (principal) => peers.ask('oldestStream', { principal }),
      yield: async (principal, connection_id) => (await peers.ask('yieldPlace', { principal, connection_id })).includes(true),
    },
    timings,
    meter,
    logger,
    log: stack.use(new ConnectionLog(logger)),
  });
  stack.use(refreshRevocations(connections, failures, logger.named('log')));
  const room = new SocketRoom(logger);
  const eventLoop = stack.use(new EventLoopDelay());
  const about = { version: VERSION, startedAt, log, broker, connections: () => connections.counts };
  const administration = createAdministration({
    connections,
    pipeline,
    peers,
    siblings,
    worker: link?.welcome.worker,
    usage,
    logger,
    intervals: () => rates.intervals,
    stats: () =>
      collectStats({
        ...about,
        contract: contractHash(contract),
        roles: () => connections.open.map(({ principal }) => principal.role),
        clients: () => connections.open.map(identityOf),
        hub: pipeline.hub,
        rates: () => rates.perSecond,
        logReads: () => pipeline.reads.count,
      }),
  });
  const health = createHealth({
    ...about,
    states: () => states.figures,
    channels: () => pipeline.hub.topics,
    lastMinute: () => metrics.lastMinute(),
    draining: () => draining.signal.aborted,
    serverProblem: () => room.problem,
    lateMs: () => eventLoop.lateMs,
  });
  link?.answer({ metrics: () => metrics.figures(), health });
  const listener: Listener = await listen(
    {
      router: createRouter(contract),
      pipeline,
      logger,
      failures,
      connections,
      timings,
      basePath: config.basePath,
      room,
      health: link === undefined ? health : async () => link.health(await health()),
      metrics: () => (link ?? metrics).metrics(),
      administration,
      dashboardFolder: options.dashboardFolder,
    },
    { host: config.host, port: config.port, ...(await link?.port()) },
  ).catch((error: unknown) => {
    throw listenProblem(config, error);
  });
  // Connections are counted from here on.
  const rates = stack.use(new Rates(() => metrics.counted()));
  stack.defer(async () => {
    draining.abort();
    await listener.close(config.drainMs);
  });
  signal.throwIfAborted();
  const resources = stack.move();
  const [secret] = secrets;
  const tokens = secret === undefined ? undefined : { secret, audience, issuer };
  return {
    url: listener.url,
    port: listener.port,
    pipeline,
    failures,
    broken: broken.promise,
    get census() {
      return connections.census;
    },
    tokens,
    leavePort: () => listener.leavePort(),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** What is opened; what comes too late is closed at once. @throws why `signal` was aborted, when that is earlier. */
async function openedBefore<T extends Disposable>(signal: AbortSignal, opening: Promise<T>): Promise<T> {
  try {
    return await before(signal, opening);
  } catch (error) {
    void opening.then(
      (late) => late[Symbol.dispose](),
      () => undefined,
    );
    throw error;
  }
}

const identityOf = ({ identity }: Connection): ClientIdentity => identity ?? { client: null, contract: null };

/** Where revocations are shared, others may add to them; a message that says so may be lost. */
function refreshRevocations(connections: Connections, failures: Failures, logger: Logger): Disposable {
  const action = 'look at PostgreSQL, and at the network to it; until it is back, tokens that other instances revoke are taken here';
  const outage = new Outage({ logger, goesOn: 'revocations still cannot be read', over: 'revocations can be read again' });
  const fail = (error: unknown) => {
    if (failures.take('log', error) && outage.meet()) failures.tell('log', 'revocations cannot be read', error, { action });
  };
  const timer = setInterval(() => void connections.refreshRevocations().then(() => outage.end(), fail), REVOCATIONS_REFRESH_MS).unref();
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      outage[Symbol.dispose]();
    },
  };
}
