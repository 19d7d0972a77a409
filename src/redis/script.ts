/** A Lua script: sent once, named by its hash from then on. */
import { createHash } from 'node:crypto';

/** What sends a command. */
interface Sender {
  send<T>(args: readonly string[]): Promise<T>;
}

export class RedisScript {
  readonly #redis: Sender;
  readonly #text: string;
  readonly #hash: string;

  constructor(redis: Sender, text: string) {
    this.#redis = redis;
    this.#text = text;
    this.#hash = createHash('sha1').update(text).digest('hex');
  }

  async run<T>(keys: readonly string[], args: readonly (string | number)[]): Promise<T> {
    const rest = [String(keys.length), ...keys, ...args.map(String)];
    try {
      return await this.#redis.send<T>(['EVALSHA', this.#hash, ...rest]);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return await this.#redis.send<T>(['EVAL', this.#text, ...rest]);
    }
  }
}
