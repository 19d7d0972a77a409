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

const PRESENT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZRANGE', KEYS[1], 0, -1)`;

interface Question {
  readonly from: string;
  readonly id: string;
  readonly kind: QuestionKind;
  readonly question: unknown;
}
type Message = Question | { readonly to: string; readonly id: string; readonly answer: unknown };

/** Between the name of an instance and the number of its worker. */
export const WORKER_MARK = '#';

/** @param instance names this one among the others: an instance, or a worker of one behind WORKER_MARK. @throws why `signal` was aborted. */
export async function redisPeers(redis: RedisConnection, instance: string, signal?: AbortSignal): Promise<Peers> {
  const present = new RedisScript(redis, PRESENT);
  const waiting = new Map<string, (answer: unknown) => void>();
  let members: readonly string[] = [instance];
  let answerers: Answerers | undefined;
  const send = (message: Message) => redis.send(['PUBLISH', redis.key(CHANNEL), JSON.stringify(message)]);
  const reply = async ({ from, id, kind, question }: Question, own: Answerers) => {
    const answer = await (own[kind] as (question: unknown) => unknown)(question);
    await send({ to: from, id, answer });
  };
  const appear = async () => {
    members = await present.run<string[]>([redis.key('instances')], [instance, PRESENT_MS]).catch(() => members);
  };
  const hear = (received: object | undefined) => {
    const message = received as Message | undefined;
    if (message === undefined) return;
    if ('to' in message) {
      if (message.to === instance) waiting.get(message.id)?.(message.answer);
    } else if (message.from !== instance && answerers !== undefined) {
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
      return new Set(members.map((name) => name.split(WORKER_MARK)[0])).size;
    },
    get members() {
      return members.length;
    },
    ask: (kind, question) => {
      const id = randomUUID();
      const answers: unknown[] = [];
      const others = members.length - 1;
      const asked = send({ from: instance, id, kind, question });
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
    answer: (own) => {
      answerers = own;
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      answerers = undefined;
      await redis.send(['ZREM', redis.key('instances'), instance]).catch(() => undefined);
    },
  };
}
