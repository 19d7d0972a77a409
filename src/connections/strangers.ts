/** Who may come before it is known who speaks: browsers by their page's origin, strangers by how many of their address wait. */
import type { IncomingMessage } from 'node:http';

export interface StrangerLimits {
  /** Origins of browsers, beyond the host that they were asked to. */
  readonly allowedOrigins: readonly string[];
  /** Connections of one address of which nobody knows who speaks; no limit when null. */
  readonly perAddress: number | null;
}

export class Strangers {
  readonly #limits: StrangerLimits;
  readonly #byAddress = new Map<string, number>();

  constructor(limits: StrangerLimits) {
    this.#limits = limits;
  }

  /** How many there are, of all addresses. */
  get count(): number {
    let count = 0;
    for (const own of this.#byAddress.values()) count += own;
    return count;
  }

  /** May a page of this origin use the gateway? What is no browser sends none, and may. */
  mayCome({ headers: { origin, host } }: IncomingMessage): boolean {
    return origin === undefined || this.#limits.allowedOrigins.includes(origin) || URL.parse(origin)?.host === host;
  }

  /** Counts one more of the address; false, and not counted, when there is no room. */
  enter(address: string): boolean {
    const own = this.#byAddress.get(address) ?? 0;
    if (this.#limits.perAddress !== null && own >= this.#limits.perAddress) return false;
    this.#byAddress.set(address, own + 1);
    return true;
  }

  /** One that was counted is known, or gone. */
  leave(address: string): void {
    const left = (this.#byAddress.get(address) ?? 0) - 1;
    if (left > 0) this.#byAddress.set(address, left);
    else this.#byAddress.delete(address);
  }
}
