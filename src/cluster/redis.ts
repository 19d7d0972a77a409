/** The other instances, found and asked over Redis. */
import { randomUUID } from 'node:crypto';
import type { RedisConnection } from '../redis/connection.ts';
import { RedisScript } from '../redis/script.ts';
import type { Answerers, Peers, QuestionKind } from './peers.ts';

/** How often an instance says that it is there, and how long that counts, in ms. */
const PRESENT_EVERY_MS = 2000;
const PRESENT_MS = 7000;
/** How long the others may take to answer, in ms. */
const ANSWER_MS = 1000;
const CHANNEL = 'peers';

/** Adds a name to each set, for so long; returns how many each has. */
const PRESENT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local counts = {}
for i = 1, #KEYS do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  redis.call('ZADD', KEYS[i], now + ARGV[1], ARGV[i + 1])
  redis.call('PEXPIRE', KEYS[i], ARGV[1])
  counts[i] = redis.call('ZCARD', KEYS[i])
end
return counts`;

interface Question {
  readonly from: string;
  readonly id: string;
  readonly kind: QuestionKind;
  readonly question: unknown;
}
type Message = Question | { readonly to: string; readonly id: string; readonly answer: unknown };

/** How one that asks and answers is named among the others. */
export interface PeerName {
  readonly instance: string;
  /** Where the instance has several. */
  readonly worker?: number | undefined;
}

/** Its name among all workers, and instances that have none. */
export function nameOf({ instance, worker }: PeerName): string {
  return worker === undefined ? instance : `${instance}#${worker}`;
}

/** @throws why `signal` was aborted. */
export async function redisPeers(redis: RedisConnection, own: PeerName, signal?: AbortSignal): Promise<Peers> {
  const name = nameOf(own);
  /** All instances; of these the ones that say how many workers they are; and all workers of those. */
  const sets = ['instances', 'instances:counted', 'members'].map((key) => redis.key(key));
  const names = [own.instance, own.instance, name];
  const present = new RedisScript(redis, PRESENT);
  const waiting = new Map<string, (answer: unknown) => void>();
  let instances = 1;
  let members = 1;
  let answerers: Answerers | undefined;
  const send = (message: Message) => redis.send(['PUBLISH', redis.key(CHANNEL), JSON.stringify(message)]);
  const reply = async ({ from, id, kind, question }: Question, all: Answerers) => {
    const answer = await (all[kind] as (question: unknown) => unknown)(question);
    await send({ to: from, id, answer });
  };
  const appear = async () => {
    const counts = await present.run<[number, number, number]>(sets, [PRESENT_MS, ...names]).catch(() => undefined);
    if (counts === undefined) return;
    const [all, counted, workers] = counts;
    instances = all;
    // An instance of an earlier version is one process, and does not say so.
    members = workers + all - counted;
  };
  const hear = (received: object | undefined) => {
    const message = received as Message | undefined;
    if (message === undefined) return;
    if ('to' in message) {
      if (message.to === name) waiting.get(message.id)?.(message.answer);
    } else if (message.from !== name && answerers !== undefined) {
      // What another version asks may not be known here: then it is not answered.
      void reply(message, answerers).catch(() => undefined);
    }
  };
  await redis.subscribe(CHANNEL, hear, signal);
  redis.onReconnect(() => void appear());
  await appear();
  const timer = setInterval(() => void appear(), PRESENT_EVERY_MS);
  timer.unref();
  return {
    get instances() {
      return instances;
    },
    get members() {
      return members;
    },
    ask: (kind, question) => {
      const id = randomUUID();
      const answers: unknown[] = [];
      const others = members - 1;
      const asked = send({ from: name, id, kind, question });
      // One that has just started may not have been seen yet: it hears the question all the same.
      if (others === 0) return asked.then(() => []).catch(() => []);
      return new Promise((resolve) => {
        const done = () => {
          waiting.delete(id);
          clearTimeout(late);
          resolve(answers as never);
        };
        const late = setTimeout(done, ANSWER_MS);
        waiting.set(id, (answer) => {
          if (answers.push(answer) === others) done();
        });
        asked.catch(done);
      });
    },
    answer: (all) => {
      answerers = all;
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      answerers = undefined;
      // Other workers may go on: their instance is forgotten once nobody says that it is there.
      const gone = own.worker === undefined ? sets : sets.slice(-1);
      await Promise.all(
        gone.map((key, index) => redis.send(['ZREM', key, names.at(index - gone.length) as string]).catch(() => undefined)),
      );
    },
  };
}
