/**
 * Who listens to what. Finding the subscribers of an event costs two look-ups, one by channel and one by family, plus
 * one step for each that matches, however many channels, patterns and subscribers there are.
 */
import type { ChannelFamily, Selector } from '../contract/channels.ts';
import type { Delivery } from './delivery.ts';

/** A subscriber that is live. */
export interface Listener {
  readonly selector: Selector;
  /** Takes an event that the selector selects. Called once for each, in sequence order. May remove the listener. */
  onEvent(delivery: Delivery): void;
  /** The sequence jumped: events after `seq` were not passed on. The listener must go back to the log. */
  onInterrupted(seq: number): void;
}

export class Hub {
  readonly #byChannel = new Map<string, Set<Listener>>();
  readonly #byFamily = new Map<ChannelFamily, Set<Listener>>();
  readonly #listeners = new Set<Listener>();

  add(listener: Listener): void {
    this.#listeners.add(listener);
    for (const channel of listener.selector.channels) addTo(this.#byChannel, channel, listener);
    for (const family of listener.selector.families) addTo(this.#byFamily, family, listener);
  }

  remove(listener: Listener): void {
    if (!this.#listeners.delete(listener)) return;
    for (const channel of listener.selector.channels) removeFrom(this.#byChannel, channel, listener);
    for (const family of listener.selector.families) removeFrom(this.#byFamily, family, listener);
  }

  /** Passes an event to everyone who listens. A selector is in normal form, so nobody is found twice. */
  dispatch(delivery: Delivery): void {
    for (const listener of this.#byChannel.get(delivery.channel) ?? []) listener.onEvent(delivery);
    if (delivery.family === undefined) return;
    for (const listener of this.#byFamily.get(delivery.family) ?? []) listener.onEvent(delivery);
  }

  /** Sends every listener back to the log, from after `seq`. */
  interrupt(seq: number): void {
    for (const listener of [...this.#listeners]) listener.onInterrupted(seq);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Single channels and families that somebody listens to. */
  get topics(): number {
    return this.#byChannel.size + this.#byFamily.size;
  }
}

function addTo<K>(index: Map<K, Set<Listener>>, key: K, listener: Listener): void {
  const set = index.get(key);
  if (set === undefined) index.set(key, new Set([listener]));
  else set.add(listener);
}

function removeFrom<K>(index: Map<K, Set<Listener>>, key: K, listener: Listener): void {
  const set = index.get(key);
  set?.delete(listener);
  if (set?.size === 0) index.delete(key);
}
