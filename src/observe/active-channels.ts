/**
 * The channels that had events recently. Every instance is told of every event, so this is the same on all of them; it begins
 * anew with the process. It costs an event one look-up, and holds no more than MAX_CHANNELS.
 */
import type { ChannelActivity } from '../contract/admin.ts';

/** Channels that are remembered; the one that was quiet for the longest is forgotten first. */
const MAX_CHANNELS = 1000;
/** An event of so long ago counts a third of one of now, in ms. */
const DECAY_MS = 60_000;

type LastEvent = NonNullable<ChannelActivity['last_event']>;

interface Channel {
  /** Events a second, when the last one came. */
  readonly rate: number;
  /** When the last event came, in ms of the monotonic clock. */
  readonly last: number;
  readonly event: LastEvent;
}

export class ActiveChannels {
  /** Least recently active first. */
  readonly #channels = new Map<string, Channel>();
  readonly #now: () => number;

  /** @param now the monotonic clock, in ms. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @param event whose `id` is its position. */
  note({ channel, id, type }: { readonly channel: string; readonly id: string; readonly type: string }): void {
    const now = this.#now();
    const known = this.#channels.get(channel);
    const rate = (known === undefined ? 0 : decayed(known, now)) + 1000 / DECAY_MS;
    if (known !== undefined) this.#channels.delete(channel);
    else if (this.#channels.size >= MAX_CHANNELS) this.#channels.delete(this.#channels.keys().next().value as string);
    this.#channels.set(channel, { rate, last: now, event: { id, type, at: new Date() } });
  }

  /** What is known of a channel; a channel that is not known has a rate of 0 and no event. */
  of(channel: string): { readonly rate: number; readonly last_event: LastEvent | null } {
    const known = this.#channels.get(channel);
    if (known === undefined) return { rate: 0, last_event: null };
    return { rate: Math.round(decayed(known, this.#now()) * 1000) / 1000, last_event: known.event };
  }

  /** The most recently active first. */
  get channels(): readonly string[] {
    return [...this.#channels.keys()].reverse();
  }
}

function decayed({ rate, last }: Channel, now: number): number {
  return rate * Math.exp((last - now) / DECAY_MS);
}
