/**
 * Publishing for one client: directly, or in the background.
 *
 * Order: on each channel, what is published directly comes after the background events that were submitted before, and
 * background events come after what was published directly before. Direct publishes do not wait for each other.
 */
import { assertFitsMessage, jsonOf } from './arguments.ts';
import type { Calls, ReadyCallOptions } from './calls.ts';
import { ChannelTails } from './channel-tails.ts';
import type { Connection } from './connection.ts';
import { CourierError, courierErrorFrom, invalidArgument, leavesOpen, possiblyStored } from './errors.ts';
import type { EventDraft, Receipt } from './events.ts';
import { assertArgument, assertOptions, CALL_CHECKS, isObjects } from './option-checks.ts';
import type { CallOptions } from './options.ts';
import { inTime, randomKey, retryDelayMs } from './retry.ts';

type Send = (drafts: readonly EventDraft[], signal: AbortSignal) => Promise<Receipt[]>;

export class Publishing {
  readonly #calls: Calls;
  readonly #connection: Connection;
  readonly #maxPending: number;
  /** Direct publishes that wait for their answers. */
  readonly #pending = new Set<Promise<unknown>>();
  readonly #direct = new ChannelTails();
  readonly #background = new ChannelTails();

  constructor(calls: Calls, connection: Connection, maxPending: number) {
    this.#calls = calls;
    this.#connection = connection;
    this.#maxPending = maxPending;
  }

  async one(draft: EventDraft, options: CallOptions): Promise<Receipt> {
    const [receipt] = await this.#directly([draft], options, this.#sendOne);
    return receipt as Receipt;
  }

  async batch(drafts: readonly EventDraft[], options: CallOptions): Promise<Receipt[]> {
    assertOptions(options, CALL_CHECKS);
    assertArgument('drafts', drafts, isObjects);
    return this.#directly(drafts, options, this.#sendBatch);
  }

  /** Notes an event that a background publisher holds until `settled`. Returns what the event must wait for. */
  hold(channel: string, settled: Promise<unknown>): Promise<unknown> | undefined {
    const before = this.#direct.of([channel]);
    this.#background.add([channel], settled);
    return before;
  }

  /**
   * Makes one attempt to publish events that a background publisher holds, which it has checked, and given keys.
   *
   * @param mayBeStored whether an earlier attempt may have stored them.
   */
  async held(drafts: readonly EventDraft[], signal: AbortSignal, mayBeStored: boolean): Promise<void> {
    const send = drafts.length === 1 ? this.#sendOne : this.#sendBatch;
    await this.#attempt(drafts, { signal, isRepeated: false }, send, mayBeStored);
  }

  /** The delay before a background publisher repeats an attempt, in ms. @param failures how many attempts failed before. */
  delayMs(error: CourierError, failures: number): number {
    return retryDelayMs(error, this.#calls.retry, failures);
  }

  /** Waits for the answers to direct publishes, for up to `timeoutMs`. */
  async settled(timeoutMs: number): Promise<void> {
    await inTime(Promise.allSettled(this.#pending), timeoutMs, () => undefined).catch(() => undefined);
  }

  /** Its errors have the paths of the event, not of a list. */
  readonly #sendOne: Send = async ([draft], signal) => [await this.#calls.trpc.events.publish.mutate(draft as EventDraft, { signal })];

  readonly #sendBatch: Send = (drafts, signal) => this.#calls.trpc.events.publishBatch.mutate([...drafts], { signal });

  async #directly(drafts: readonly EventDraft[], options: CallOptions, send: Send): Promise<Receipt[]> {
    for (const draft of drafts) jsonOf(draft.data);
    const keyed = drafts.map((draft) => ({ ...draft, idempotency_key: draft.idempotency_key ?? randomKey() }));
    assertFitsMessage(keyed);
    if (this.#pending.size >= this.#maxPending) {
      throw new CourierError('QUEUE_FULL', `${this.#maxPending} publishes wait for their answers`);
    }
    const channels = keyed.map(({ channel }) => channel);
    const ready = this.#background.of(channels);
    const publishing = this.#attempt(keyed, { ...options, ready }, send);
    this.#pending.add(publishing);
    this.#direct.add(channels, publishing);
    try {
      return await publishing;
    } finally {
      this.#pending.delete(publishing);
    }
  }

  /** Makes attempts, and keeps in mind whether one of them may have been stored: a later answer speaks only of its own attempt. */
  async #attempt(drafts: readonly EventDraft[], options: ReadyCallOptions, send: Send, mayBeAlready = false): Promise<Receipt[]> {
    let mayBeStored = mayBeAlready;
    let wasSent: (() => boolean) | undefined;
    const once = async (signal: AbortSignal) => {
      const isSent = this.#connection.watch();
      wasSent = isSent;
      try {
        return await send(drafts, signal);
      } catch (thrown) {
        const error = courierErrorFrom(thrown);
        const earlier = mayBeStored;
        mayBeStored ||= leavesOpen(error) && isSent();
        wasSent = undefined;
        throw error.with({ mayBeStored: earlier });
      }
    };
    try {
      return await this.#calls.attempt('publish', options, once);
    } catch (error) {
      if (!(error instanceof CourierError)) throw error;
      throw this.#explained(error, drafts, mayBeStored || wasSent?.() === true);
    }
  }

  /**
   * Adds the key of a single event, and explains an event that may have been stored, and a refused input: its form may be right in the
   * client's version of the contract.
   */
  #explained(error: CourierError, drafts: readonly EventDraft[], mayBeStored: boolean): CourierError {
    const idempotencyKey = drafts.length === 1 ? drafts[0]?.idempotency_key : undefined;
    const state = this.#connection.state.get();
    let { hint } = error;
    if (error.code === 'BAD_REQUEST' && state.status === 'connected' && !state.contract.same) {
      const { client, gateway } = state.contract;
      hint = `mend what \`issues\` names; this client was made from contract ${client}, the gateway from ${gateway}: bring both to one version`;
    }
    const explained = error.with({ idempotencyKey, mayBeStored, hint });
    // Retryable errors say it already.
    return mayBeStored && !error.retryable ? possiblyStored(explained) : explained;
  }
}

const publishings = new WeakMap<object, Publishing>();

export function keepPublishing(client: object, publishing: Publishing): void {
  publishings.set(client, publishing);
}

/** What background publishers of a client publish with. @throws {CourierError} INVALID_ARGUMENT when it is no client. */
export function publishingOf(client: object): Publishing {
  const publishing = publishings.get(client);
  if (publishing === undefined) throw invalidArgument('client', 'must be a CourierClient');
  return publishing;
}
