/**
 * Limits that several instances keep together: buckets and leases in Redis, by its clock. While Redis is away, or
 * refuses, each instance keeps its share of them by itself.
 */
import type { RedisConnection } from '../redis/connection.ts';
import { RedisScript } from '../redis/script.ts';
import type { Charge, ConnectionCounts, Limiter, RetryAfterMs } from './limiter.ts';

/** As `take` in gcra.ts, for several rates at once: all are charged, or none. */
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local cost = tonumber(ARGV[1])
local wait = -1
local states = {}
for i = 1, #KEYS do
  local limit = tonumber(ARGV[2 * i])
  local period = tonumber(ARGV[2 * i + 1])
  local full = math.max(tonumber(redis.call('GET', KEYS[i]) or now), now) + cost * period / limit
  local left = full - now - period
  if cost > limit then return 'never' end
  if left > 0.001 then wait = math.max(wait, math.ceil(left)) end
  states[i] = full
end
if wait >= 0 then return tostring(wait) end
for i = 1, #KEYS do
  redis.call('SET', KEYS[i], string.format('%.3f', states[i]), 'PX', math.ceil(states[i] - now) + 1)
end
return 'admitted'`;

/** @param fallback keeps what one instance may admit by itself; `instances` were last seen. */
export function redisLimiter(redis: RedisConnection, fallback: Limiter, instances: () => number): Limiter {
  const take = new RedisScript(redis, TAKE);
  const alone = (charge: Charge): RetryAfterMs | Promise<RetryAfterMs> => {
    const { cost } = charge;
    if (charge.rates.some(({ limit }) => cost > limit)) return Number.POSITIVE_INFINITY;
    const share = instances();
    // What would pass at all passes here too, if seldom.
    const rates = charge.rates.map(({ limit, periodMs }) => ({ limit: Math.max(cost, limit / share), periodMs }));
    return fallback.charge({ ...charge, rates });
  };
  return {
    charge: (charge) => {
      const { key, rates, cost } = charge;
      if (rates.length === 0) return undefined;
      if (!redis.ready) return alone(charge);
      const keys = rates.map((_rate, index) => redis.key(`limit:${index}:${key}`));
      return take.run<string>(keys, [cost, ...rates.flatMap(({ limit, periodMs }) => [limit, periodMs])]).then(
        (verdict) => (verdict === 'admitted' ? undefined : verdict === 'never' ? Number.POSITIVE_INFINITY : Number(verdict)),
        () => alone(charge),
      );
    },
    [Symbol.dispose]: () => fallback[Symbol.dispose](),
  };
}

/** How long a connection counts after its instance was last heard of, and how often that is renewed, in ms. */
const LEASE_MS = 30_000;
const RENEW_MS = 10_000;

const CLAIM = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local open = redis.call('ZCARD', KEYS[1])
if open >= tonumber(ARGV[2]) then return open end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return -1`;
const RENEW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, #KEYS do
  for id in string.gmatch(ARGV[i + 1], '%S+') do redis.call('ZADD', KEYS[i], now + ARGV[1], id) end
  redis.call('PEXPIRE', KEYS[i], ARGV[1])
end`;
/** Principals whose connections are renewed by one command. */
const RENEWED_AT_ONCE = 200;

export function redisConnectionCounts(redis: RedisConnection, fallback: ConnectionCounts, instances: () => number): ConnectionCounts {
  const claim = new RedisScript(redis, CLAIM);
  const renew = new RedisScript(redis, RENEW);
  const own = new Map<string, Set<string>>();
  const keyOf = (principal: string) => redis.key(`connections:${principal}`);
  const renewAll = () => {
    const all = [...own];
    for (let from = 0; from < all.length; from += RENEWED_AT_ONCE) {
      const some = all.slice(from, from + RENEWED_AT_ONCE);
      const ids = some.map(([, connections]) => [...connections].join(' '));
      void renew
        .run(
          some.map(([principal]) => keyOf(principal)),
          [LEASE_MS, ...ids],
        )
        .catch(() => undefined);
    }
  };
  const timer = setInterval(renewAll, RENEW_MS);
  timer.unref();
  // A Redis that has lost its memory is told again.
  redis.onReconnect(renewAll);
  return {
    claim: async (principal, id, most) => {
      // What is open here counts here, whatever becomes of Redis.
      const here = await fallback.claim(principal, id, redis.ready ? most : Math.ceil(most / instances()));
      if (here !== undefined) return here;
      const elsewhere = await claim.run<number>([keyOf(principal)], [id, most, LEASE_MS]).catch(() => -1);
      if (elsewhere >= 0) {
        fallback.release(principal, id);
        return elsewhere;
      }
      own.set(principal, (own.get(principal) ?? new Set()).add(id));
      return undefined;
    },
    release: (principal, id) => {
      fallback.release(principal, id);
      const ids = own.get(principal);
      if (!ids?.delete(id)) return;
      if (ids.size === 0) own.delete(principal);
      redis.send(['ZREM', keyOf(principal), id]).catch(() => undefined);
    },
    [Symbol.dispose]: () => {
      clearInterval(timer);
      fallback[Symbol.dispose]();
    },
  };
}
