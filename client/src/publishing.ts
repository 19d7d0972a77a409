/**
 * Publishing for one client: directly, or in the background.
 *
 * Order: on each channel, what is published directly comes after the background events that were submitted before, and
 * background events come after what was published directly before. Of the order of direct publishes, `PublishLine` says what holds.
 */
import { assertFitsMessage, copyOf } from './arguments.ts';
import type { Calls, ReadyCallOptions } from './calls.ts';
import { withItsOrigin } from './cause.ts';
import { ChannelTails } from './channel-tails.ts';
import type { Connection } from './connection.ts';
import { CourierError, courierErrorFrom, invalidArgument, leavesOpen, possiblyStored, refusalError } from './errors.ts';
import type { EventDraft, Receipt } from './events.ts';
import { assertArgument, assertOptions, CALL_CHECKS, isObjects } from './option-checks.ts';
import type { CallOptions } from './options.ts';
import { type Attempt, PublishLine, publishEach, type Sendable } from './publish-line.ts';
import { type Ending, inTime, randomKey, retryDelayMs } from './retry.ts';

/** An event that a background publisher holds: checked, and with a key. */
export interface Held {
  readonly event: EventDraft;
  /** Whether an earlier attempt may have stored it. */
  readonly mayBeStored: boolean;
}

export class Publishing {
  readonly #calls: Calls;
  readonly #connection: Connection;
  readonly #maxPending: number;
  readonly #line: PublishLine;
  /** Direct publishes that wait for their answers. */
  readonly #pending = new Set<Promise<unknown>>();
  readonly #direct = new ChannelTails();
  readonly #background = new ChannelTails();

  constructor(calls: Calls, connection: Connection, maxPending: number) {
    this.#calls = calls;
    this.#connection = connection;
    this.#maxPending = maxPending;
    this.#line = new PublishLine({ trpc: calls.trpc, connection });
  }

  async one(draft: EventDraft, options: CallOptions): Promise<Receipt> {
    const [receipt] = await this.#directly([draft], options, false);
    return receipt as Receipt;
  }

  async batch(drafts: readonly EventDraft[], options: CallOptions): Promise<Receipt[]> {
    assertOptions(options, CALL_CHECKS);
    assertArgument('drafts', drafts, isObjects);
    return this.#directly(drafts, options, true);
  }

  /** Notes an event of a background publisher. Returns what it must wait for, and the function that says that it has settled. */
  hold(channel: string): { readonly before: Promise<unknown> | undefined; readonly settle: () => void } {
    return { before: this.#direct.of([channel]), settle: this.#background.add([channel]) };
  }

  /**
   * Makes one attempt to publish events that a background publisher holds, each by itself.
   *
   * @returns what each failed with; undefined for one that is stored.
   */
  async held(held: readonly Held[], signal: AbortSignal): Promise<(CourierError | undefined)[]> {
    const drafts = held.map(({ event }) => event);
    let isSent: (() => boolean) | undefined;
    let answered: CourierError | undefined;
    const once = async ({ signal: ended }: Ending) => {
      isSent = this.#connection.watch();
      try {
        return await publishEach(this.#calls.trpc, drafts, ended);
      } catch (thrown) {
        answered = courierErrorFrom(thrown);
        throw answered;
      }
    };
    const explained = (index: number, error: CourierError, isOpen: boolean) =>
      this.#explained(error, [drafts[index] as EventDraft], (held[index] as Held).mayBeStored || isOpen);
    try {
      const outcomes = await this.#calls.attempt('publish', { signal, isRepeated: false }, once);
      const errors = outcomes.map((outcome) => ('error' in outcome ? refusalError(outcome.error) : undefined));
      this.#calls.tellRetried(errors);
      return errors.map((error, index) => error && explained(index, error, leavesOpen(error)));
    } catch (thrown) {
      const error = courierErrorFrom(thrown);
      const isOpen = isSent?.() === true && (answered === undefined || leavesOpen(answered));
      return drafts.map((_, index) => explained(index, error, isOpen));
    }
  }

  /** The delay before a background publisher repeats an attempt, in ms. @param failures how many attempts failed before. */
  delayMs(error: CourierError, failures: number): number {
    return retryDelayMs(error, this.#calls.retry, failures);
  }

  /** Waits for the answers to direct publishes, for up to `timeoutMs`. What has not been sent by then never is. */
  async close(timeoutMs: number): Promise<void> {
    await inTime(Promise.allSettled(this.#pending), timeoutMs, () => undefined).catch(() => undefined);
    this.#line.close();
  }

  async #directly(drafts: readonly EventDraft[], options: CallOptions, isBatch: boolean): Promise<Receipt[]> {
    const keyed = drafts.map((draft) => ({ ...withItsOrigin(copyOf(draft)), idempotency_key: draft.idempotency_key ?? randomKey() }));
    const bytes = assertFitsMessage(keyed);
    if (this.#pending.size >= this.#maxPending) {
      const hint = 'await some of them first, or let more wait: `maxPendingPublishes`';
      throw new CourierError('QUEUE_FULL', `${this.#maxPending} publishes wait for their answers`, { hint });
    }
    const channels = keyed.map(({ channel }) => channel);
    const ready = this.#background.of(channels);
    const place = this.#line.enter(channels);
    if (ready !== undefined) this.#line.hold(place);
    const publishing = this.#attempt({ place, drafts: keyed, bytes, isBatch }, { ...options, ready });
    this.#pending.add(publishing);
    const settle = this.#direct.add(channels);
    try {
      return await publishing;
    } finally {
      this.#pending.delete(publishing);
      this.#line.leave(place);
      settle();
    }
  }

  /** Makes attempts, and keeps in mind whether one of them may have been stored: a later answer speaks only of its own attempt. */
  async #attempt(sendable: Sendable, options: ReadyCallOptions): Promise<Receipt[]> {
    let mayBeStored = false;
    let wasSent = false;
    let running: Attempt | undefined;
    const once = async (ending: Ending) => {
      running = this.#line.send(sendable, ending);
      try {
        return await running.receipts;
      } catch (thrown) {
        const error = courierErrorFrom(thrown);
        const earlier = mayBeStored;
        wasSent ||= running.isSent();
        mayBeStored ||= leavesOpen(error) && running.isSent();
        running = undefined;
        throw error.with({ mayBeStored: earlier });
      }
    };
    try {
      return await this.#calls.attempt('publish', { ...options, wasSent: () => wasSent || running?.isSent() === true }, once);
    } catch (error) {
      if (!(error instanceof CourierError)) throw error;
      throw this.#explained(error, sendable.drafts, mayBeStored || running?.isSent() === true);
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
