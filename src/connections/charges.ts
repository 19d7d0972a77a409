/** Charges what callers do to their limits: calls to the principal, events to their channels, wrong tokens to the address. */
import { type Principal, principalKey } from '../auth/principal.ts';
import type { Role } from '../contract/admin.ts';
import { CourierError } from '../errors.ts';
import type { AllowanceScope } from '../limits/allowances.ts';
import type { ChannelRates } from '../limits/channels.ts';
import type { Level, Rate } from '../limits/gcra.ts';
import type { Charge, Limiter, Outcome, Refusal } from '../limits/limiter.ts';
import { type LimitedAction, type Limits, limitsOf, mapRoles, rate, ratesOf } from '../limits/limits.ts';
import type { Meter } from '../observe/meter.ts';

/** Refused calls that a principal may have in a minute before its connections are ended: at least so many, and ten seconds' worth of publishes. */
const MIN_REFUSALS_PER_MINUTE = 1000;
const REFUSED_SECONDS_PER_MINUTE = 10;
/** How long a refused caller is told to wait, at least: with less, callers at once would all come back for the same place. */
const MIN_RETRY_AFTER_MS = 1000;

export interface ChargesDeps {
  readonly limiter: Limiter;
  readonly limits: Limits;
  /** Undefined where no channel has a limit. */
  readonly channelRates: ChannelRates | undefined;
  readonly meter: Meter;
}

/** How many of several publishes a limit lets through: the first ones. */
export interface Admitted {
  readonly count: number;
  /** What refuses the others; undefined when there are none. */
  readonly refusal: CourierError | undefined;
}

/** What refuses each of several events, if anything does; undefined when none of their channels has a limit. */
export type ChannelRefusals = readonly (CourierError | undefined)[] | undefined;

/** Whom calls are charged to. */
export interface Charged {
  readonly principal: Principal;
  /** Told what a limit of publishing leaves, after each charge. */
  noteAllowance(scope: AllowanceScope, rates: readonly Rate[], levels: readonly Level[]): void;
}

type RatesOfRoles = Readonly<Record<Role, Readonly<Record<LimitedAction, readonly Rate[]>>>>;

export class Charges {
  readonly #deps: ChargesDeps;
  readonly #rates: RatesOfRoles;
  /** By `sub`. */
  readonly #ratesOfUsers: ReadonlyMap<string, RatesOfRoles>;

  constructor(deps: ChargesDeps) {
    this.#deps = deps;
    const { limits } = deps;
    this.#rates = mapRoles((role) => ratesOf(limits[role]));
    this.#ratesOfUsers = new Map([...limits.users].map(([sub, own]) => [sub, mapRoles((role) => ratesOf(own[role]))]));
  }

  /**
   * Counts a call. Waits only where the limiter does.
   *
   * @param onTooMany called when the principal has not heeded refusals for long.
   * @throws {CourierError} TOO_MANY_REQUESTS with `retryAfterMs`; BAD_REQUEST for what no waiting would let through.
   */
  charge(charged: Charged, action: LimitedAction, cost: number, onTooMany: () => void): Promise<void> | undefined {
    const charge = this.#chargeOf(charged.principal, action, cost);
    if (charge.rates.length === 0) return undefined;
    const outcome = this.#deps.limiter.charge([charge]);
    const call: ChargedCall = { charged, action, charge, onTooMany };
    return outcome instanceof Promise ? outcome.then((later) => this.#settle(call, later)) : this.#settle(call, outcome);
  }

  /**
   * Counts the publishes of one call, each by itself. What is refused counts as one call among those that `charge` forgives.
   *
   * @param onTooMany as `charge`.
   */
  async chargeEach(charged: Charged, count: number, onTooMany: () => void): Promise<Admitted> {
    const charge = this.#chargeOf(charged.principal, 'publish', 1);
    const { admitted, refusal, levels } = await this.#most(charge, count);
    if (charge.rates.length > 0) charged.noteAllowance('publish', charge.rates, levels);
    if (refusal === undefined) return { count: admitted, refusal };
    for (let n = admitted; n < count; n += 1) this.#deps.meter.limited('publish');
    if (!(await this.#forgives(charged.principal, 'refusals', 1))) onTooMany();
    return { count: admitted, refusal: refused(refusal, charge, 'publish', JSON.stringify(charged.principal.sub)) };
  }

  /**
   * Counts events with their channels, each by itself. What is refused is given back as by `chargeChannels`.
   */
  async chargeChannelsEach(charged: Charged, events: readonly { readonly channel: string }[]): Promise<ChannelRefusals> {
    const { channelRates, meter } = this.#deps;
    const charges = channelRates === undefined ? [] : chargesOf(events, channelRates);
    if (charges.length === 0) return undefined;
    const outcomes = await Promise.all(charges.map(({ charge }) => this.#most({ ...charge, cost: 1 }, charge.cost)));
    noteTightest(
      charged,
      charges,
      outcomes.map(({ levels }) => levels),
    );
    const left = new Map(charges.map(({ channel }, index) => [channel, { ...(outcomes[index] as Most) }]));
    const refusals = events.map(({ channel }) => {
      const own = left.get(channel);
      if (own?.refusal === undefined || own.admitted-- > 0) return undefined;
      meter.limited('channel');
      return refused(own.refusal, own.charge, 'publish', `the channel ${channel}`, channel);
    });
    const count = refusals.filter((refusal) => refusal !== undefined).length;
    if (count > 0) await this.#giveBack(charged, count);
    return refusals;
  }

  /**
   * Counts events with their channels, all or none. A publish that its channels refuse is given back to its principal, and is none of
   * the refusals that `charge` counts: others may have taken what the channel had. It costs the gateway more than one that is refused
   * unread; beyond as many events in a minute as `charge` forgives calls, nothing is given back.
   *
   * @throws {CourierError} as `charge`.
   */
  chargeChannels(charged: Charged, events: readonly { readonly channel: string }[]): Promise<void> | undefined {
    const { channelRates, limiter } = this.#deps;
    if (channelRates === undefined) return undefined;
    const charges = chargesOf(events, channelRates);
    if (charges.length === 0) return undefined;
    const outcome = limiter.charge(charges.map(({ charge }) => charge));
    return Promise.resolve(outcome).then(async ({ refusal, levels }) => {
      noteTightest(charged, charges, levels);
      if (refusal === undefined) return;
      const { channel, charge } = charges[refusal.index] as ChannelCharge;
      this.#deps.meter.limited('channel');
      await this.#giveBack(charged, events.length);
      throw refused(refusal, charge, 'publish', `the channel ${channel}`, channel);
    });
  }

  /**
   * Counts a wrong token. Valid ones are let in whatever else comes from their address, which may be that of a proxy.
   *
   * @throws {CourierError} TOO_MANY_REQUESTS when there were too many.
   */
  async wrongToken(address: string): Promise<void> {
    const rates = rate(this.#deps.limits.gateway.failedAuthenticationsPerMinute, 60_000);
    if (rates.length === 0) return;
    const { refusal } = await this.#deps.limiter.charge([{ key: `address:${address}`, rates, cost: 1 }]);
    if (refusal === undefined) return;
    this.#deps.meter.limited('address');
    throw new CourierError('TOO_MANY_REQUESTS', 'too many wrong tokens from this address', { retryAfterMs: refusal.retryAfterMs });
  }

  /** Takes as much of `count` times the charge, which costs 1, as its rates let through, in few steps: of what a refusal says is left. */
  async #most(charge: Charge, count: number): Promise<Most> {
    if (charge.rates.length === 0) return { charge, admitted: count, refusal: undefined, levels: [] };
    let admitted = 0;
    for (let cost = count; ; ) {
      const outcome = await this.#deps.limiter.charge([{ ...charge, cost, isOfEach: true }]);
      const { refusal } = outcome;
      const [levels = []] = outcome.levels;
      if (refusal === undefined) admitted += cost;
      if (admitted === count || (refusal !== undefined && cost === 1)) return { charge, admitted, refusal, levels };
      const left = Math.min(...levels.map(({ remaining }) => remaining));
      cost = Math.max(1, refusal === undefined ? count - admitted : Math.min(left, cost - 1));
    }
  }

  #chargeOf(principal: Principal, action: LimitedAction, cost: number): Charge {
    const rates = (this.#ratesOfUsers.get(principal.sub) ?? this.#rates)[principal.role][action];
    return { key: `${action}:${principalKey(principal)}`, rates, cost };
  }

  #settle(call: ChargedCall, { refusal, levels: [levels = []] }: Outcome): Promise<void> | undefined {
    const { charged, action, charge } = call;
    if (action === 'publish') charged.noteAllowance('publish', charge.rates, levels);
    return refusal === undefined ? undefined : this.#refuse(call, refusal);
  }

  async #refuse({ charged: { principal }, action, charge, onTooMany }: ChargedCall, refusal: Refusal): Promise<never> {
    this.#deps.meter.limited(action);
    if (!(await this.#forgives(principal, 'refusals', 1))) onTooMany();
    throw refused(refusal, charge, action, JSON.stringify(principal.sub));
  }

  async #giveBack(charged: Charged, cost: number): Promise<void> {
    const charge = this.#chargeOf(charged.principal, 'publish', -cost);
    if (charge.rates.length === 0 || !(await this.#forgives(charged.principal, 'channel-refusals', cost))) return;
    const { levels } = await this.#deps.limiter.charge([charge]);
    charged.noteAllowance('publish', charge.rates, levels[0] ?? []);
  }

  /** Counts refused calls, or events. Resolves to whether the principal may have so many. */
  async #forgives(principal: Principal, kind: 'refusals' | 'channel-refusals', cost: number): Promise<boolean> {
    const publishPerSecond = limitsOf(this.#deps.limits, principal).publishPerSecond ?? 0;
    const most = Math.max(MIN_REFUSALS_PER_MINUTE, REFUSED_SECONDS_PER_MINUTE * publishPerSecond);
    const charge = { key: `${kind}:${principalKey(principal)}`, rates: rate(most, 60_000), cost };
    return (await this.#deps.limiter.charge([charge])).refusal === undefined;
  }
}

interface ChargedCall {
  readonly charged: Charged;
  readonly action: LimitedAction;
  readonly charge: Charge;
  readonly onTooMany: () => void;
}

interface Most {
  readonly charge: Charge;
  admitted: number;
  /** Of one more. */
  readonly refusal: Refusal | undefined;
  readonly levels: readonly Level[];
}

interface ChannelCharge {
  readonly channel: string;
  readonly charge: Charge;
}

/** A charge for each channel that has a limit. */
function chargesOf(events: readonly { readonly channel: string }[], ratesOfChannel: ChannelRates): readonly ChannelCharge[] {
  const costs = new Map<string, number>();
  for (const { channel } of events) costs.set(channel, (costs.get(channel) ?? 0) + 1);
  return [...costs].flatMap(([channel, cost]) => {
    const rates = ratesOfChannel(channel);
    return rates.length === 0 ? [] : [{ channel, charge: { key: `channel:${channel}`, rates, cost } }];
  });
}

/** Of several channels, that of which the least is left. */
function noteTightest(charged: Charged, charges: readonly ChannelCharge[], levels: Outcome['levels']): void {
  const left = levels.map((own) => Math.min(...own.map(({ remaining }) => remaining)));
  const index = left.indexOf(Math.min(...left));
  charged.noteAllowance('channel', (charges[index] as ChannelCharge).charge.rates, levels[index] ?? []);
}

function refused({ retryAfterMs }: Refusal, { rates, cost }: Charge, action: LimitedAction, whose: string, channel?: string): CourierError {
  if (retryAfterMs === Number.POSITIVE_INFINITY) {
    const most = Math.min(...rates.map((each) => each.limit));
    return new CourierError(
      'BAD_REQUEST',
      `${cost} events at once are more than the limit of ${most} of ${whose} lets through at any time`,
    );
  }
  return new CourierError('TOO_MANY_REQUESTS', `${action}: the limit of ${whose} is reached`, {
    retryAfterMs: Math.max(MIN_RETRY_AFTER_MS, retryAfterMs),
    ...(channel !== undefined && { channel }),
  });
}
