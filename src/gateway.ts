/**
 * The composition root: builds the gateway in the order of its dependencies, drains it, and closes it in reverse. The
 * only place that chooses implementations.
 */
import { Access } from './auth/access.ts';
import { developmentSecret } from './auth/development-secret.ts';
import { Revocations } from './auth/revocations.ts';
import { type TokenSettings, tokenVerifier } from './auth/tokens.ts';
import { localBroker } from './broker/local.ts';
import type { Config } from './config.ts';
import { Hub } from './delivery/hub.ts';
import { SharedReads } from './delivery/shared-reads.ts';
import { Tail } from './delivery/tail.ts';
import { memoryLimiter } from './limits/memory.ts';
import type { EventLog } from './log/log.ts';
import { openMemoryLog } from './log/memory.ts';
import { startRetention } from './log/retention.ts';
import { openSqliteLog } from './log/sqlite.ts';
import { checkHealth } from './observe/health.ts';
import { createLogger, type Logger } from './observe/logger.ts';
import type { Meter } from './observe/meter.ts';
import { createMetrics } from './observe/metrics.ts';
import { type Listener, listen } from './transport/server.ts';
import { VERSION } from './version.ts';

/** Channels listed in the statistics. */
const BUSIEST_CHANNELS = 100;

export interface Gateway extends AsyncDisposable {
  /** Where it listens: `http://127.0.0.1:8766`. */
  readonly url: string;
  readonly port: number;
  readonly meter: Meter;
  /** With what its tokens are signed; undefined when only others have the keys. */
  readonly tokens: TokenSettings | undefined;
}

/**
 * Starts a gateway. Disposing it drains it: what is in flight is finished, every connection closed with 1001, the log
 * closed last.
 *
 * @throws when the log cannot be opened or the address not be listened on; nothing is left open then.
 */
export async function createGateway(config: Config, options: { logger?: Logger } = {}): Promise<Gateway> {
  const logger = options.logger ?? createLogger(config);
  const startedAt = Date.now();
  await using stack = new AsyncDisposableStack();
  const log = stack.use(await openLog(config));
  const broker = stack.use(localBroker());
  const metrics = createMetrics({
    connections: () => listener.connections(),
    channels: () => hub.topics,
    subscriptions: () => hub.listeners,
    bounds: () => log.bounds(),
    logReads: () => reads.count,
    tailRepairs: () => tail.repairs,
  });
  const onFailure = (where: 'log' | 'retention', message: string) => (error: unknown) => {
    metrics.failed(where);
    logger.error(message, { error });
  };
  stack.use(startRetention(log, { retentionMs: config.retentionMs, onError: onFailure('retention', 'retention failed') }));
  const hub = new Hub({ meter: metrics });
  const tail = stack.use(await Tail.start(log, hub, { onError: onFailure('log', 'the log cannot be read') }));
  log.onCommit((events) => {
    tail.offer(events);
    broker.publish(events);
  });
  broker.onEvents((events) => tail.offer(events));

  const reads = stack.use(new SharedReads(log));
  const draining = new AbortController();
  const feed = { log, reads, tail, hub, draining: draining.signal, meter: metrics };
  const { audience, issuer, jwksUrl } = config.jwt;
  const secrets = jwksUrl !== undefined || config.jwt.secrets.length > 0 ? config.jwt.secrets : [developmentSecret(config.log)];
  const access = new Access({
    verify: tokenVerifier({ secrets, jwksUrl, audience, issuer }),
    revocations: new Revocations(config.log),
    limiter: stack.use(memoryLimiter()),
    limits: config.limits,
    meter: metrics,
    logger,
  });
  const connections = (): number => listener.connections().trpc + listener.connections().plain;
  const listener: Listener = await listen(
    {
      feed,
      logger,
      access,
      allowedOrigins: config.allowedOrigins,
      health: () =>
        checkHealth({
          version: VERSION,
          startedAt,
          log,
          connections,
          failures: () => metrics.failuresLastMinute(),
          shuttingDown: () => draining.signal.aborted,
        }),
      metrics: async () => ({ contentType: metrics.contentType, text: await metrics.text() }),
      control: {
        setLogLevel: (level) => logger.setLevel(level),
        stats: async () => {
          const bounds = await log.bounds();
          return {
            version: VERSION,
            uptime: (Date.now() - startedAt) / 1000,
            connections: listener.connections(),
            subscriptions: hub.listeners,
            channels: hub.busiest(BUSIEST_CHANNELS),
            log: {
              head: log.positions.at(bounds.head),
              first_retained: log.positions.at(bounds.first),
              events: bounds.head - bounds.first + 1,
              reads: reads.count,
            },
          };
        },
      },
    },
    config,
  );
  stack.defer(async () => {
    draining.abort();
    await listener.close(config.drainMs);
  });
  const resources = stack.move();
  const [secret] = secrets;
  const tokens = secret === undefined ? undefined : { secret, audience, issuer };
  return { url: listener.url, port: listener.port, meter: metrics, tokens, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

function openLog(config: Config): Promise<EventLog> {
  return config.log.kind === 'memory' ? Promise.resolve(openMemoryLog()) : openSqliteLog({ path: config.log.path });
}
