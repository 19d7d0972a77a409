/**
 * Notes who uses what, in memory, and writes what is new to a store: once a minute, each use of a client once a day. What could
 * not be written is written later; that it could not is reported once. At an orderly end everything is written.
 */
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { type ChannelSet, familyIn } from '../contract/channels.ts';
import type { Contract } from '../contract/contract.ts';
import type { Filter } from '../contract/filter.ts';
import { CourierError } from '../errors.ts';
import { KeptClients } from './kept-clients.ts';
import { type Caller, type Client, type ContractClient, dayOf, textOf, type Usage, type UsageStore } from './usage.ts';

const WRITE_EVERY_MS = 60_000;
/** How long the last write may take, in ms: the end of the gateway waits for it. */
const LAST_WRITE_MS = 2000;
/** Subscriptions that are noted again in one turn of the event loop. */
const RENEWED_PER_TURN = 1000;

export interface UsageDeps {
  readonly store: UsageStore;
  readonly contract: Contract;
  /** Who subscribes to something now. What lasts is noted anew each day. */
  readonly subscribed: () => readonly (Caller & { readonly subscriptions: readonly { readonly filter: Filter }[] })[];
  /** Told once when uses cannot be stored. */
  readonly onError: (error: unknown) => void;
  /** Told at the end of what could not be stored any more, with what failed, where that is known. */
  readonly onLost?: (error: unknown) => void;
  /** Told when they can be again. */
  readonly onRecovered?: () => void;
  /** In ms since 1970. */
  readonly now?: () => number;
}

export class UsageRecorder implements Usage, AsyncDisposable {
  readonly #deps: UsageDeps;
  readonly #now: () => number;
  /** What was noted, and need not be again on the same day. */
  #noted = new KeptClients();
  /** What principals published today, by type the family last used: most publish the same again and again, with the same client. */
  readonly #publishedBy = new WeakMap<
    Caller['principal'],
    { readonly day: number; readonly client: Client; readonly families: Map<string, string> }
  >();
  /** The day of the last use. */
  #lastDay: number;
  /** What has yet to be written. */
  #pending = new KeptClients();
  /** The day on which the subscriptions that last were noted. */
  #renewedOn: number;
  #writing: Promise<void> = Promise.resolve();
  /** Of the last write, where that failed. */
  #failure: { readonly error: unknown } | undefined;
  #isClosing = false;
  readonly #timer: NodeJS.Timeout;

  constructor(deps: UsageDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? Date.now;
    this.#renewedOn = dayOf(this.#now());
    this.#lastDay = this.#renewedOn;
    this.#timer = setInterval(() => void this.write(), WRITE_EVERY_MS).unref();
  }

  published(caller: Caller, events: readonly { readonly family: string; readonly type: string }[]): void {
    const day = dayOf(this.#now());
    let known = this.#publishedBy.get(caller.principal);
    if (known === undefined || known.day !== day || !isOf(known.client, caller)) {
      known = { day, client: clientOf(caller), families: new Map() };
      this.#publishedBy.set(caller.principal, known);
    }
    for (const { family, type } of events) {
      if (known.families.get(type) === family) continue;
      known.families.set(type, family);
      const note = this.#noting(caller);
      note(textOf('published', type));
      note(textOf('channel', family));
    }
  }

  selected(caller: Caller, { channels, types }: Filter): void {
    const note = this.#noting(caller);
    const families = familiesOf(channels);
    for (const family of families) {
      note(textOf('channel', family));
      if (types === undefined) note(textOf('followed', family));
    }
    for (const type of types ?? []) {
      if (this.#deps.contract.types.get(type)?.families.some((family) => families.has(family))) note(textOf('named', type));
    }
  }

  /** Writes what is new. Never rejects. */
  write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** Everyone who used something, those of other instances as far as they have written it. @throws {CourierError} SERVICE_UNAVAILABLE */
  async clients(): Promise<readonly ContractClient[]> {
    await this.write();
    return this.#deps.store.load(dayOf(this.#now())).catch((cause: unknown) => {
      throw new CourierError('SERVICE_UNAVAILABLE', 'who uses the contract cannot be read now', { retryAfterMs: 1000, cause });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#isClosing = true;
    const over = new AbortController();
    const late = wait(LAST_WRITE_MS, false, { signal: over.signal }).catch(() => false);
    const isStored = await Promise.race([this.write().then(() => this.#failure === undefined), late]);
    over.abort();
    if (!isStored) this.#deps.onLost?.(this.#failure?.error);
  }

  /** Notes a use of the caller's, unless it was noted today. */
  #noting(caller: Caller): (use: string) => void {
    const client = clientOf(caller);
    const today = this.#today();
    const known = this.#noted.usesOf(client);
    return (use) => {
      if ((known?.get(use) ?? 0) >= today) return;
      this.#noted.note(client, use, today);
      this.#pending.note(client, use, today);
    };
  }

  /** A clock that goes back over midnight does no harm; one that was days ahead has made what was noted worthless. */
  #today(): number {
    const today = dayOf(this.#now());
    if (today < this.#lastDay - 1) this.#noted = new KeptClients();
    this.#lastDay = today;
    return today;
  }

  async #write(): Promise<void> {
    const today = dayOf(this.#now());
    if (today !== this.#renewedOn) await this.#renew();
    this.#renewedOn = today;
    const written = this.#pending;
    if (written.size === 0) return;
    this.#pending = new KeptClients();
    try {
      await this.#deps.store.add(written.all, today);
      if (this.#failure !== undefined) this.#deps.onRecovered?.();
      this.#failure = undefined;
    } catch (error) {
      for (const client of written.all) this.#pending.add(client, today);
      if (this.#failure === undefined && !this.#isClosing) this.#deps.onError(error);
      this.#failure = { error };
    }
  }

  async #renew(): Promise<void> {
    let renewed = 0;
    for (const caller of this.#deps.subscribed()) {
      for (const { filter } of caller.subscriptions) {
        this.selected(caller, filter);
        renewed += 1;
        if (renewed % RENEWED_PER_TURN === 0) await nextTurn();
      }
    }
  }
}

function clientOf({ principal: { sub, role }, identity }: Caller): Client {
  return { client: identity?.client ?? null, contract: identity?.contract ?? null, sub, role };
}

/** @param client of the caller's principal. */
function isOf({ client, contract }: Client, { identity }: Caller): boolean {
  return client === (identity?.client ?? null) && contract === (identity?.contract ?? null);
}

function familiesOf({ families, singles }: ChannelSet): Set<string> {
  const all = new Set(families);
  for (const channel of singles) {
    const family = familyIn(channel);
    if (family !== undefined) all.add(family);
  }
  return all;
}
