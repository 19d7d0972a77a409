/**
 * On which channels something came of late. Every instance is told of every event, so this is the same on all of them; it
 * begins anew with the process. Costs an event one look-up, and holds no more than MAX_CHANNELS.
 */
import type { ChannelActivity } from '../contract/admin.ts';
import type { Delivery } from '../delivery/batch.ts';

/** Channels that are remembered; the one on which nothing came for the longest is forgotten first. */
const MAX_CHANNELS = 1000;
/** What came so long ago counts a third of what comes now, in ms. */
const DECAY_MS = 60_000;

type LastEvent = NonNullable<ChannelActivity['last_event']>;

interface Channel {
  /** A second, when the last event came. */
  readonly rate: number;
  /** On the monotonic clock, in ms. */
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

  note({ channel, id, type }: Delivery): void {
    const now = this.#now();
    const known = this.#channels.get(channel);
    const rate = (known === undefined ? 0 : decayed(known, now)) + 1000 / DECAY_MS;
    if (known !== undefined) this.#channels.delete(channel);
    else if (this.#channels.size >= MAX_CHANNELS) this.#channels.delete(this.#channels.keys().next().value as string);
    this.#channels.set(channel, { rate, last: now, event: { id, type, at: new Date() } });
  }

  /** What is known of a channel; nothing, or what was forgotten, is a rate of 0 and no event. */
  of(channel: string): { readonly rate: number; readonly last_event: LastEvent | null } {
    const known = this.#channels.get(channel);
    if (known === undefined) return { rate: 0, last_event: null };
    return { rate: Math.round(decayed(known, this.#now()) * 1000) / 1000, last_event: known.event };
  }

  /** Those on which something came, the most recent first. */
  get channels(): readonly string[] {
    return [...this.#channels.keys()].reverse();
  }
}

function decayed({ rate, last }: Channel, now: number): number {
  return rate * Math.exp((last - now) / DECAY_MS);
}
