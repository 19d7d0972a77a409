/** What a gateway stands on, as its configuration has it: the only place, with `gateway.ts`, that knows implementations. */
import { openSqlite, storesBeside } from './backends/embedded.ts';
import { type Backends, type BackendsDeps, type Beside, outageOf, type Stores } from './backends/parts.ts';
import { localBroker } from './broker/broker.ts';
import { noPeers } from './cluster/peers.ts';
import type { Config } from './config.ts';
import { memoryConnectionCounts, memoryLimiter } from './limits/memory.ts';
import { MAX_IN_FLIGHT_BYTES } from './log/group-commit.ts';
import type { EventLog } from './log/log.ts';
import { openMemoryLog } from './log/memory.ts';
import type { SharedLog } from './log/postgres.ts';
import { SqliteLog } from './log/sqlite.ts';

/**
 * Opens everything. Redis may be away: what needs it goes on without, as it does later.
 * @throws what the log throws; why `signal` was aborted.
 */
export async function openBackends(config: Config, deps: BackendsDeps): Promise<Backends> {
  await using stack = new AsyncDisposableStack();
  const log = await openLog(config, deps, stack);
  const { link } = deps;
  const room = link?.counts('gateway') ?? memoryConnectionCounts();
  const siblings = link?.peers() ?? noPeers;
  const beside = await openBeside(config, log, deps, stack);
  const resources = stack.move();
  return { ...beside, room, siblings, log, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

async function openBeside(config: Config, log: EventLog | SharedLog, deps: BackendsDeps, stack: AsyncDisposableStack): Promise<Beside> {
  const stores = await storesOf(config, log, deps);
  const { link } = deps;
  const { broker } = config;
  if (broker.kind === 'redis' && 'database' in log) {
    const { openShared } = await import('./backends/redis.ts');
    return { ...(await openShared(broker.url, log, { ...deps, logger: deps.logger.named('broker') }, stack)), ...stores };
  }
  if (link === undefined) {
    return {
      broker: stack.use(localBroker()),
      limiter: stack.use(memoryLimiter()),
      connections: stack.use(memoryConnectionCounts()),
      peers: noPeers,
      ...stores,
    };
  }
  return {
    broker: link.broker({ tells: 'database' in log }),
    limiter: link.limiter(),
    connections: link.counts('principal'),
    peers: link.peers(),
    ...stores,
  };
}

async function storesOf(config: Config, log: EventLog | SharedLog, { link, failures }: BackendsDeps): Promise<Stores> {
  if ('database' in log) return (await import('./backends/postgres.ts')).storesIn(log);
  return link === undefined ? storesBeside(config.log, failures) : { revocations: link.revocations(), usage: link.usage() };
}

async function openLog({ log: target, startMs }: Config, deps: BackendsDeps, stack: AsyncDisposableStack): Promise<EventLog | SharedLog> {
  if (target.kind === 'memory') return stack.use(openMemoryLog());
  const { link } = deps;
  // The supervisor has it, and tells of what is wrong with it.
  const linked = link?.welcome.log;
  if (target.kind === 'sqlite' && link !== undefined && linked !== undefined)
    return stack.use(
      new SqliteLog(link.logPort, linked, {
        path: target.path,
        maxInFlightBytes: MAX_IN_FLIGHT_BYTES / link.welcome.workers,
        // Counted here; the supervisor tells of it.
        onError: (error) => void deps.failures.take('log', error),
      }),
    );
  const opened = Promise.withResolvers<EventLog>();
  const outage = outageOf(target.kind, opened.promise, deps);
  const opening =
    target.kind === 'sqlite'
      ? openSqlite(target, deps, outage)
      : (await import('./backends/postgres.ts')).openPostgres(target.url, startMs, deps, outage);
  const log = stack.use(await opening);
  stack.use(outage);
  opened.resolve(log);
  return log;
}
