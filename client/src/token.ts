/** Where tokens come from, and which of them may be tried. */
import { CourierError, messageOf } from './errors.ts';
import { orAborted } from './retry.ts';

/** A token, or a function that gives one whenever a connection is made or its token is about to expire; null: there is none. */
export type TokenSource = string | (() => string | null | Promise<string | null>);

export class Tokens {
  #source: TokenSource;
  readonly #timeoutMs: number;
  #refused: string | undefined;
  /** Refusals since a token was last accepted. */
  #refusals = 0;

  /** @param timeoutMs how long the function may take. */
  constructor(source: TokenSource, timeoutMs: number) {
    this.#source = source;
    this.#timeoutMs = timeoutMs;
  }

  /** Forgets what was refused: somebody says that it is worth another try. Returns the source before. */
  reset(source: TokenSource = this.#source): TokenSource {
    const before = this.#source;
    this.#source = source;
    this.#refused = undefined;
    this.#refusals = 0;
    return before;
  }

  /** Can another token be had? */
  get renewable(): boolean {
    return typeof this.#source === 'function';
  }

  /**
   * @returns a token that was not refused.
   * @throws {CourierError} UNAUTHORIZED when there is none; TOKEN_UNAVAILABLE when the function fails, which may pass.
   */
  async get(): Promise<string> {
    const token = await this.#ask();
    if (typeof token !== 'string' || token === '') throw new CourierError('UNAUTHORIZED', 'there is no token');
    if (token === this.#refused) throw new CourierError('UNAUTHORIZED', 'the gateway refused the token, and there is no other');
    return token;
  }

  async #ask(): Promise<string | null> {
    if (typeof this.#source === 'string') return this.#source;
    const timeUp = new AbortController();
    const timer = setTimeout(() => timeUp.abort(new Error(`no answer within ${this.#timeoutMs} ms`)), this.#timeoutMs);
    try {
      return await orAborted(Promise.resolve(this.#source()), timeUp.signal);
    } catch (cause) {
      throw new CourierError('TOKEN_UNAVAILABLE', `the token function failed: ${messageOf(cause)}`, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  accepted(): void {
    this.#refusals = 0;
  }

  /** Notes a refusal. @returns whether another token is worth a try. */
  refused(token: string | undefined): boolean {
    this.#refused = token;
    this.#refusals += 1;
    // A new token that is refused right after another was will not be the last.
    return this.renewable && this.#refusals < 2;
  }
}
