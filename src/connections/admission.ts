/** Who may come: browsers by their page's origin, and those that have yet to sign in by how many of theirs wait. */
import type { IncomingMessage } from 'node:http';

export interface AdmissionLimits {
  /** Origins of browsers, beyond the host that they were asked to. */
  readonly allowedOrigins: readonly string[];
  /** Connections of one address, or of one principal, that have yet to sign in; no limit when null. */
  readonly each: number | null;
  /** Of all together; those whose token is good, or is being checked, come in all the same. No limit when null. */
  readonly inAll: number | null;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  /** By whose they are. */
  readonly #waiting = new Map<string, number>();
  #count = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** How many there are in all. */
  get count(): number {
    return this.#count;
  }

  /** May a page of this origin use the gateway? What is no browser sends none, and may. */
  allowsOrigin({ headers: { origin, host } }: IncomingMessage): boolean {
    return origin === undefined || this.#limits.allowedOrigins.includes(origin) || URL.parse(origin)?.host === host;
  }

  /**
   * Counts one more; false, and not counted, when there is no room.
   *
   * @param isNobody it has shown no token.
   */
  admit(whose: string, isNobody: boolean): boolean {
    const { each, inAll } = this.#limits;
    const own = this.#waiting.get(whose) ?? 0;
    if (each !== null && own >= each) return false;
    if (inAll !== null && isNobody && this.#count >= inAll) return false;
    this.#count += 1;
    this.#waiting.set(whose, own + 1);
    return true;
  }

  /** One that was counted has signed in, or gone. */
  release(whose: string): void {
    this.#count -= 1;
    const left = (this.#waiting.get(whose) ?? 0) - 1;
    if (left > 0) this.#waiting.set(whose, left);
    else this.#waiting.delete(whose);
  }
}
