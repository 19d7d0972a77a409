/**
 * Limits that several instances keep together: buckets and leases in Redis, by its clock. While Redis is away, or
 * refuses, each instance keeps its share of them by itself.
 */
import type { RedisConnection } from '../redis/connection.ts';
import { RedisScript } from '../redis/script.ts';
import { levelIn } from './gcra.ts';
import type { Charge, ConnectionCounts, Limiter, Outcome } from './limiter.ts';

/**
 * As `take` in gcra.ts, for several rates at once: all are charged, or none. Answers with how long to wait (empty when admitted),
 * with which rate refuses for the longest, and with the ms until each bucket is full again.
 */
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local wait, refusing = 0, 0
local before, after = {}, {}
for i = 1, #KEYS do
  local cost, limit, period = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  before[i] = math.max(tonumber(redis.call('GET', KEYS[i]) or now), now)
  after[i] = before[i] + cost * period / limit
  local left = after[i] - now - period
  if cost > limit then left = math.huge end
  if left > 0.001 and left > wait then wait, refusing = left, i end
end
local told = ''
if wait == math.huge then told = 'never' elseif wait > 0 then told = tostring(math.ceil(wait)) end
local answer = { told, refusing }
for i = 1, #KEYS do
  local state = before[i]
  if refusing == 0 then
    state = after[i]
    redis.call('SET', KEYS[i], string.format('%.3f', state), 'PX', math.max(0, math.ceil(state - now)) + 1)
  end
  answer[i + 2] = string.format('%.6f', state - now)
end
return answer`;

/** @param fallback keeps what one instance may admit by itself; `instances` were last seen. */
export function redisLimiter(redis: RedisConnection, fallback: Limiter, instances: () => number): Limiter {
  const take = new RedisScript(redis, TAKE);
  const alone = (charges: readonly Charge[]): Outcome | Promise<Outcome> => {
    const never = charges.findIndex(({ rates, cost }) => rates.some(({ limit }) => cost > limit));
    const share = instances();
    const own = charges.map(({ key, rates, cost, isOfEach }) => {
      const taken = never < 0 ? cost : 0;
      // What would pass at all passes here too, if seldom.
      const least = isOfEach === true ? Math.min(1, taken) : taken;
      return { key, cost: taken, rates: rates.map(({ limit, periodMs }) => ({ limit: Math.max(least, limit / share), periodMs })) };
    });
    const outcome = fallback.charge(own);
    return never < 0 ? outcome : refusedForEver(never, outcome);
  };
  return {
    charge: (charges) => {
      if (!redis.ready) return alone(charges);
      const all = charges.flatMap(({ key, rates, cost }, index) =>
        rates.map((rate, place) => ({ index, key: redis.key(`limit:${place}:${key}`), args: [cost, rate.limit, rate.periodMs] })),
      );
      const keys = all.map(({ key }) => key);
      return take
        .run<(string | number)[]>(
          keys,
          all.flatMap(({ args }) => args),
        )
        .then(
          ([wait, refusing, ...fullInMs]) => {
            const retryAfterMs = wait === 'never' ? Number.POSITIVE_INFINITY : Number(wait);
            const index = all[Number(refusing) - 1]?.index;
            let next = 0;
            const levels = charges.map(({ rates }) => rates.map((rate) => levelIn(Number(fullInMs[next++]), rate)));
            return { refusal: index === undefined ? undefined : { index, retryAfterMs }, levels };
          },
          () => alone(charges),
        );
    },
    [Symbol.dispose]: () => fallback[Symbol.dispose](),
  };
}

async function refusedForEver(index: number, outcome: Outcome | Promise<Outcome>): Promise<Outcome> {
  return { ...(await outcome), refusal: { index, retryAfterMs: Number.POSITIVE_INFINITY } };
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
