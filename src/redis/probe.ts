/** Tries on a link everything that Courier needs of Redis: that it takes writes, and that what is published is heard. */
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { before } from '../before.ts';
import type { RedisLink } from './link.ts';
import { RedisScript } from './script.ts';
import { type Trouble, troubleOf } from './trouble.ts';

/** How long Redis may take, in ms. */
const SILENCE_MS = 3000;
/** After how long a message that was not heard is sent again, in ms. */
const REPEAT_MS = 300;

/**
 * With every command of the limits, the connection counts and the presence of instances. The first one writes: Redis that
 * is full lets a script go on that has written already.
 */
const WRITE = `
redis.call('SET', KEYS[1], redis.call('TIME')[1], 'PX', 10000)
redis.call('GET', KEYS[1])
redis.call('ZADD', KEYS[2], 1, 'probe')
redis.call('PEXPIRE', KEYS[2], 10000)
redis.call('ZCARD', KEYS[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', 0)
redis.call('ZREM', KEYS[2], 'probe')`;

export class RedisProbe {
  readonly #link: RedisLink;
  readonly #channel: string;
  readonly #keys: readonly string[];
  readonly #write: RedisScript;
  #onHeard: () => void = () => undefined;

  private constructor(link: RedisLink, prefix: string) {
    this.#link = link;
    this.#channel = `${prefix}probe:${randomUUID()}`;
    this.#keys = [`${prefix}probe`, `${prefix}probe:set`];
    this.#write = new RedisScript({ send: (args) => link.send(args, SILENCE_MS) }, WRITE);
  }

  /** @param prefix stands before every key and channel. */
  static async on(link: RedisLink, prefix: string, signal: AbortSignal): Promise<RedisProbe> {
    const probe = new RedisProbe(link, prefix);
    await link.subscribe(probe.#channel, () => probe.#onHeard(), signal);
    return probe;
  }

  /** Resolves to what is wrong: what Redis refuses, why the link was lost, that Redis does not answer; to undefined when everything works. */
  async run(): Promise<Trouble | undefined> {
    const deadline = AbortSignal.any([this.#link.lost, AbortSignal.timeout(SILENCE_MS)]);
    const trials = Promise.all([this.#write.run(this.#keys, []), this.#publishUntilHeard(deadline)]);
    return before(deadline, trials).then(() => undefined, troubleOf);
  }

  /** Messages may be lost on their way, and one that is does not make a link useless. */
  async #publishUntilHeard(deadline: AbortSignal): Promise<void> {
    const heard = new AbortController();
    this.#onHeard = () => heard.abort();
    const signal = AbortSignal.any([heard.signal, deadline]);
    while (!heard.signal.aborted) {
      await this.#link.send(['PUBLISH', this.#channel, ''], SILENCE_MS);
      await wait(REPEAT_MS, undefined, { signal }).catch(() => undefined);
      deadline.throwIfAborted();
    }
  }
}
