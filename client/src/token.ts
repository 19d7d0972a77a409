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
   * @throws {CourierError} UNAUTHORIZED when there is none, or something else; TOKEN_UNAVAILABLE, which is retryable, when the function
   * fails or takes too long.
   */
  async get(): Promise<string> {
    const isGiven = typeof this.#source === 'string';
    const token = usable(isGiven ? 'the token' : 'what the token function gave', await this.#ask());
    if (token === this.#refused) throw new CourierError('UNAUTHORIZED', 'the gateway refused the token, and there is no other');
    return token;
  }

  async #ask(): Promise<unknown> {
    if (typeof this.#source === 'string') return this.#source;
    this.#asked += 1;
    try {
      const late = () => new Error(`no answer within ${this.#timeoutMs} ms`);
      return await inTime(Promise.resolve(this.#source()), this.#timeoutMs, late);
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

/** The token as the gateway takes it. @throws {CourierError} UNAUTHORIZED, saying what to give. */
function usable(what: string, given: unknown): string {
  const token = typeof given === 'string' ? given.trim() : '';
  let problem: string;
  if (given === null || given === undefined) problem = `there is no token: ${what} is ${given}`;
  else if (typeof given !== 'string') problem = `${what} is no text, but of the type ${typeof given}`;
  else if (token === '') problem = `there is no token: ${what} is empty`;
  else if (/^bearer(\s|$)/i.test(token)) problem = `${what} begins with the word Bearer, which belongs to a header: give what follows it`;
  else return token;
  throw new CourierError('UNAUTHORIZED', problem, {
    hint: 'give the token alone as a text, or a function that returns it or a promise of it',
  });
}
