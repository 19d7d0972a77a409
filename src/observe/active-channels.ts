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
  rate: number;
  /** When the last event came, in ms of the monotonic clock, and since 1970. */
  last: number;
  at: number;
  /** Of the last event. */
  id: string;
  type: string;
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
    let noted = this.#channels.get(channel);
    if (noted === undefined) {
      if (this.#channels.size >= MAX_CHANNELS) this.#channels.delete(this.#channels.keys().next().value as string);
      noted = { rate: 0, last: now, at: 0, id, type };
    } else this.#channels.delete(channel);
    // It is the last one now.
    this.#channels.set(channel, noted);
    noted.rate = decayed(noted, now) + 1000 / DECAY_MS;
    noted.last = now;
    noted.at = Date.now();
    noted.id = id;
    noted.type = type;
  }

  /** What is known of a channel; a channel that is not known has a rate of 0 and no event. */
  of(channel: string): { readonly rate: number; readonly last_event: LastEvent | null } {
    const known = this.#channels.get(channel);
    if (known === undefined) return { rate: 0, last_event: null };
    return {
      rate: Math.round(decayed(known, this.#now()) * 1000) / 1000,
      last_event: { id: known.id, type: known.type, at: new Date(known.at) },
    };
  }

  /** The most recently active first. */
  get channels(): readonly string[] {
    return [...this.#channels.keys()].reverse();
  }
}

function decayed({ rate, last }: Channel, now: number): number {
  return rate * Math.exp((last - now) / DECAY_MS);
}
