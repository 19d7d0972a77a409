/** Charges what callers do to their limits: calls to the principal, wrong tokens to the address. */
import { type Principal, principalKey } from '../auth/principal.ts';
import type { Role } from '../contract/admin.ts';
import { CourierError } from '../errors.ts';
import type { Rate } from '../limits/gcra.ts';
import type { Limiter, RetryAfterMs } from '../limits/limiter.ts';
import { type LimitedAction, type Limits, rate, ratesOf } from '../limits/limits.ts';
import type { Meter } from '../observe/meter.ts';

/** Refused calls that a principal may have in a minute before its connections are ended: at least so many, and ten seconds' worth of publishes. */
const MIN_REFUSALS_PER_MINUTE = 1000;
const REFUSED_SECONDS_PER_MINUTE = 10;
/** How long a refused caller is told to wait, at least: with less, callers at once would all come back for the same place. */
const MIN_RETRY_AFTER_MS = 1000;

export interface ChargesDeps {
  readonly limiter: Limiter;
  readonly limits: Limits;
  readonly meter: Meter;
}

export class Charges {
  readonly #deps: ChargesDeps;
  readonly #rates: Readonly<Record<Role, Readonly<Record<LimitedAction, readonly Rate[]>>>>;

  constructor(deps: ChargesDeps) {
    this.#deps = deps;
    const { user, service, admin } = deps.limits;
    this.#rates = { user: ratesOf(user), service: ratesOf(service), admin: ratesOf(admin) };
  }

  /**
   * Counts a call. Waits only where the limiter does.
   *
   * @param onTooMany called when the principal has not heeded refusals for long.
   * @throws {CourierError} TOO_MANY_REQUESTS with `retryAfterMs`; BAD_REQUEST for what no waiting would let through.
   */
  charge(principal: Principal, action: LimitedAction, cost: number, onTooMany: () => void): Promise<void> | undefined {
    const rates = this.#rates[principal.role][action];
    if (rates.length === 0) return undefined;
    const verdict = this.#deps.limiter.charge({ key: `${action}:${principalKey(principal)}`, rates, cost });
    if (verdict === undefined) return undefined;
    return this.#refuse({ principal, action, cost, rates, onTooMany }, verdict);
  }

  /**
   * Counts a wrong token. Valid ones are let in whatever else comes from their address, which may be that of a proxy.
   *
   * @throws {CourierError} TOO_MANY_REQUESTS when there were too many.
   */
  async wrongToken(address: string): Promise<void> {
    const rates = rate(this.#deps.limits.gateway.failedAuthenticationsPerMinute, 60_000);
    const retryAfterMs = await this.#deps.limiter.charge({ key: `address:${address}`, rates, cost: 1 });
    if (retryAfterMs === undefined) return;
    this.#deps.meter.limited('address');
    throw new CourierError('TOO_MANY_REQUESTS', 'too many wrong tokens from this address', { retryAfterMs });
  }

  async #refuse({ principal, action, cost, rates, onTooMany }: RefusedCall, verdict: RetryAfterMs | Promise<RetryAfterMs>): Promise<void> {
    const retryAfterMs = await verdict;
    if (retryAfterMs === undefined) return;
    this.#deps.meter.limited(action);
    if (await this.#isTooGreedy(principal)) onTooMany();
    if (retryAfterMs === Number.POSITIVE_INFINITY) {
      const most = Math.min(...rates.map(({ limit }) => limit));
      throw new CourierError('BAD_REQUEST', `${cost} events at once are more than the limit of ${most} lets through at any time`);
    }
    throw new CourierError('TOO_MANY_REQUESTS', `${action}: the limit of ${JSON.stringify(principal.sub)} is reached`, {
      retryAfterMs: Math.max(MIN_RETRY_AFTER_MS, retryAfterMs),
    });
  }

  async #isTooGreedy(principal: Principal): Promise<boolean> {
    const publishPerSecond = this.#deps.limits[principal.role].publishPerSecond ?? 0;
    const most = Math.max(MIN_REFUSALS_PER_MINUTE, REFUSED_SECONDS_PER_MINUTE * publishPerSecond);
    const charge = { key: `refusals:${principalKey(principal)}`, rates: rate(most, 60_000), cost: 1 };
    return (await this.#deps.limiter.charge(charge)) !== undefined;
  }
}

interface RefusedCall {
  readonly principal: Principal;
  readonly action: LimitedAction;
  readonly cost: number;
  readonly rates: readonly Rate[];
  readonly onTooMany: () => void;
}
