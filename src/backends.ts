/** What a gateway stands on, as its configuration has it: the only place, with `gateway.ts`, that knows implementations. */
import { randomUUID } from 'node:crypto';
import { join, parse } from 'node:path';
import type { RevocationStore } from './auth/revocations.ts';
import { revocationFile } from './auth/revocations-file.ts';
import { postgresRevocations } from './auth/revocations-postgres.ts';
import { type Broker, localBroker } from './broker/broker.ts';
import { redisBroker } from './broker/redis.ts';
import { noPeers, type Peers } from './cluster/peers.ts';
import { redisPeers } from './cluster/redis.ts';
import type { Config } from './config.ts';
import type { Contract } from './contract/contract.ts';
import type { ConnectionCounts, Limiter } from './limits/limiter.ts';
import { memoryConnectionCounts, memoryLimiter } from './limits/memory.ts';
import { redisConnectionCounts, redisLimiter } from './limits/redis.ts';
import type { EventLog } from './log/log.ts';
import { openMemoryLog } from './log/memory.ts';
import { PostgresOpenError } from './log/postgres/server.ts';
import { onceThere } from './log/postgres/waiting.ts';
import { openPostgresLog, type SharedLog } from './log/postgres.ts';
import { LogOpenError } from './log/sqlite/schema.ts';
import { openSqliteLog } from './log/sqlite.ts';
import type { Failures } from './observe/failures.ts';
import { LogOutage } from './observe/log-outage.ts';
import type { Logger } from './observe/logger.ts';
import { Outage } from './observe/outage.ts';
import { RedisConnection } from './redis/connection.ts';
import type { Trouble } from './redis/trouble.ts';
import type { UsageStore } from './usage/usage.ts';
import { usageFile } from './usage/usage-file.ts';
import { usagePostgres } from './usage/usage-postgres.ts';

export interface Backends extends AsyncDisposable {
  readonly log: EventLog;
  readonly broker: Broker;
  readonly limiter: Limiter;
  readonly connections: ConnectionCounts;
  readonly revocations: RevocationStore;
  readonly usage: UsageStore;
  readonly peers: Peers;
}

interface BackendsDeps {
  readonly contract: Contract;
  readonly failures: Failures;
  readonly logger: Logger;
  /** Told when the log is beyond repair. */
  readonly onBroken: () => void;
  /** Ends what is waited for. */
  readonly signal: AbortSignal;
}

/**
 * Opens everything. Redis may be away: what needs it goes on without, as it does later.
 * @throws what the log throws; why `signal` was aborted.
 */
export async function openBackends(config: Config, deps: BackendsDeps): Promise<Backends> {
  await using stack = new AsyncDisposableStack();
  const log = await openLog(config, deps, stack);
  const backends =
    config.broker.kind === 'redis' && 'database' in log
      ? await openShared(config.broker.url, log, { ...deps, logger: deps.logger.named('broker') }, stack)
      : openOwn(config, log, deps.failures, stack);
  const resources = stack.move();
  return { ...backends, log, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

type Beside = Omit<Backends, 'log' | keyof AsyncDisposable>;

/** What is kept beside a log's file: under names of its own, as several logs may lie in one directory. Those of `courier.db` are short. */
function filesBeside(path: string) {
  const { dir, base } = parse(path);
  const own = (file: string) => join(dir, base === 'courier.db' ? file : `${base}.${file}`);
  return {
    revocations: own('revocations.json'),
    contractUsers: own('contract-users.json'),
    /** Earlier versions kept those of any log there. */
    earlierRevocations: join(dir, 'revocations.json'),
  };
}

/** For one instance. */
function openOwn({ log: target }: Config, log: EventLog | SharedLog, failures: Failures, stack: AsyncDisposableStack): Beside {
  const files = target.kind === 'sqlite' ? filesBeside(target.path) : undefined;
  const onUsageError = (error: unknown) => failures.report('log', 'who used the contract cannot be read', error);
  return {
    broker: stack.use(localBroker()),
    limiter: stack.use(memoryLimiter()),
    connections: stack.use(memoryConnectionCounts()),
    revocations: 'database' in log ? postgresRevocations(log.database) : revocationFile(files?.revocations, files?.earlierRevocations),
    usage: 'database' in log ? usagePostgres(log.database) : usageFile(files?.contractUsers, onUsageError),
    peers: noPeers,
  };
}

/** For several. */
async function openShared(url: string, log: SharedLog, { logger, signal }: BackendsDeps, stack: AsyncDisposableStack): Promise<Beside> {
  const outage = stack.use(new Outage({ logger, goesOn: 'Redis still cannot be used', over: 'Redis is back' }));
  const onTrouble = ({ words, answer }: Trouble) => {
    const context = { reason: words, ...(answer !== undefined && { answer }) };
    if (outage.meet()) logger.warn('Redis cannot be used', context);
    else logger.info('Redis cannot be used for another reason now', context);
  };
  const redis = stack.use(await RedisConnection.open(url, log.identity, onTrouble, signal));
  redis.onReconnect(() => outage.end());
  const instance = randomUUID();
  const peers = stack.use(await redisPeers(redis, instance, signal));
  const instances = () => peers.instances;
  return {
    broker: stack.use(await redisBroker(redis, { instance, epoch: log.positions.epoch, signal })),
    limiter: stack.use(redisLimiter(redis, memoryLimiter(), instances)),
    connections: stack.use(redisConnectionCounts(redis, memoryConnectionCounts(), instances)),
    revocations: postgresRevocations(log.database),
    usage: usagePostgres(log.database),
    peers,
  };
}

/** What to do when the log cannot be used. */
const LOG_ACTIONS = {
  sqlite: "look at the log's file and its disk, and do what the error says",
  postgres: 'look at PostgreSQL, and at the network to it; it is used again as soon as it can be',
};

async function openLog(config: Config, deps: BackendsDeps, stack: AsyncDisposableStack): Promise<EventLog | SharedLog> {
  const { log: target, startMs } = config;
  if (target.kind === 'memory') return stack.use(openMemoryLog());
  const opened = Promise.withResolvers<EventLog>();
  const { failures } = deps;
  const logger = deps.logger.named('log');
  const probe = async () => (await opened.promise).probe();
  const outage = new LogOutage({ failures, logger, probe, action: LOG_ACTIONS[target.kind] });
  const log = stack.use(await openStoredLog(target, startMs, deps, outage));
  stack.use(outage);
  opened.resolve(log);
  return log;
}

async function openStoredLog(
  target: Exclude<Config['log'], { kind: 'memory' }>,
  startMs: number,
  { contract, failures, logger, onBroken, signal }: BackendsDeps,
  { onError }: LogOutage,
): Promise<EventLog | SharedLog> {
  const told = (what: string) => ({
    onError,
    onBroken: (error: unknown) => {
      failures.report('worker', what, error);
      onBroken();
    },
  });
  if (target.kind === 'sqlite') {
    const onClockJump = (by_ms: number) =>
      logger
        .named('log')
        .warn('the clock jumped: what is retained is measured by the time before, until the new one has stood for an hour', { by_ms });
    const { path, mustExist } = target;
    return openSqliteLog({ path, mustExist, onClockJump, ...told('the worker of the event log failed') }).catch((error: unknown) => {
      throw error instanceof LogOpenError ? new LogOpenError(`COURIER_LOG: ${error.message}`, { cause: error }) : error;
    });
  }
  const onWait = (reason: string) => logger.warn(`PostgreSQL is away: waiting for it, up to ${startMs / 1000} s`, { reason });
  const options = { url: target.url, families: contract.channels.families, signal, ...told('the event log is another one') };
  return onceThere(() => openPostgresLog(options), { startMs, onWait, signal }).catch((error: unknown) => {
    throw error instanceof PostgresOpenError ? new PostgresOpenError(`COURIER_LOG: ${error.message}`, { cause: error }) : error;
  });
}
