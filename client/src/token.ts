/** The source of tokens, and the tokens that the gateway has refused. */
import { CourierError, messageOf } from './errors.ts';
import { inTime } from './retry.ts';

/** A token, or a function that the client calls before each connection and before its token expires; null: there is no token. */
export type TokenSource = string | (() => string | null | Promise<string | null>);

export class Tokens {
  #source: TokenSource;
  readonly #timeoutMs: number;
  #refused: string | undefined;
  /** Refusals since the gateway last accepted a token. */
  #refusals = 0;
  /** Calls of the function that have no answer yet. */
  #asked = 0;

  /** @param timeoutMs how long the function may take. */
  constructor(source: TokenSource, timeoutMs: number) {
    this.#source = source;
    this.#timeoutMs = timeoutMs;
  }

  /** Sets the source, and forgets the refused token: the caller wants another attempt. Returns the source before. */
  reset(source: TokenSource = this.#source): TokenSource {
    const before = this.#source;
    this.#source = source;
    this.#refused = undefined;
    this.#refusals = 0;
    return before;
  }

  /** Whether the source can give another token. */
  get renewable(): boolean {
    return typeof this.#source === 'function';
  }

  /** Whether the function has been called and has not answered. */
  get isAsked(): boolean {
    return this.#asked > 0;
  }

  /**
   * @returns a token that the gateway has not refused.
   * @throws {CourierError} UNAUTHORIZED when there is none; TOKEN_UNAVAILABLE, which is retryable, when the function fails, takes too
   * long, or gives something else.
   */
  async get(): Promise<string> {
    const token = await this.#ask();
    if (token === null || token === '') throw new CourierError('UNAUTHORIZED', 'there is no token');
    if (token === this.#refused) throw new CourierError('UNAUTHORIZED', 'the gateway refused the token, and there is no other');
    return token;
  }

  async #ask(): Promise<string | null> {
    if (typeof this.#source === 'string') return this.#source;
    this.#asked += 1;
    try {
      const late = () => new Error(`no answer within ${this.#timeoutMs} ms`);
      const token: unknown = await inTime(Promise.resolve(this.#source()), this.#timeoutMs, late);
      if (token === null || typeof token === 'string') return token;
      throw new TypeError(`it gave no text, but ${typeof token}`);
    } catch (cause) {
      throw new CourierError('TOKEN_UNAVAILABLE', `the token function failed: ${messageOf(cause)}`, { cause });
    } finally {
      this.#asked -= 1;
    }
  }

  accepted(): void {
    this.#refusals = 0;
  }

  /** Notes a refusal. @returns whether another token is worth an attempt. */
  refused(token: string | undefined): boolean {
    this.#refused = token;
    this.#refusals += 1;
    // The gateway would refuse a third token too, when it has refused two in succession.
    return this.renewable && this.#refusals < 2;
  }
}
