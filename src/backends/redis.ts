/** What several instances have together over Redis. Loaded where it is used only. */
import { randomUUID } from 'node:crypto';
import { redisBroker } from '../broker/redis.ts';
import { nameOf, redisPeers } from '../cluster/redis.ts';
import { memoryConnectionCounts, memoryLimiter } from '../limits/memory.ts';
import { redisConnectionCounts, redisLimiter } from '../limits/redis.ts';
import type { EventLog } from '../log/log.ts';
import { Outage } from '../observe/outage.ts';
import { RedisConnection } from '../redis/connection.ts';
import type { Trouble } from '../redis/trouble.ts';
import type { BackendsDeps, Beside, Stores } from './parts.ts';

/** @param log a server's. */
export async function openShared(
  url: string,
  log: EventLog & { readonly identity: string },
  { logger, signal, link }: BackendsDeps,
  stack: AsyncDisposableStack,
): Promise<Omit<Beside, keyof Stores>> {
  const outage = stack.use(new Outage({ logger, goesOn: 'Redis still cannot be used', over: 'Redis is back' }));
  const onTrouble = ({ words, answer }: Trouble) => {
    const context = { reason: words, ...(answer !== undefined && { answer }) };
    if (outage.meet()) logger.warn('Redis cannot be used', context);
    else logger.info('Redis cannot be used for another reason now', context);
  };
  const redis = stack.use(await RedisConnection.open(url, log.identity, onTrouble, signal));
  redis.onReconnect(() => outage.end());
  const { instance, worker } = link?.welcome ?? { instance: randomUUID() };
  const name = { instance, worker };
  const peers = stack.use(await redisPeers(redis, name, signal));
  const members = () => peers.members;
  return {
    broker: stack.use(await redisBroker(redis, { instance: nameOf(name), epoch: log.positions.epoch, signal })),
    limiter: stack.use(redisLimiter(redis, memoryLimiter(), members)),
    connections: stack.use(redisConnectionCounts(redis, memoryConnectionCounts(), members)),
    peers,
  };
}
