/**
 * Which subscribers get an event. Finding the groups of an event costs two look-ups, one by channel and one by family, plus
 * one step for each group that matches, however many channels, patterns and subscribers there are.
 */
import { familyPattern } from '../contract/channels.ts';
import { type Filter, filterKey } from '../contract/filter.ts';
import { ActiveChannels } from '../observe/active-channels.ts';
import { type Meter, noMeter } from '../observe/meter.ts';
import { noTracing, type Tracing } from '../observe/tracing.ts';
import { BATCH_UNITS, type Batch, type Delivery } from './batch.ts';
import type { Group, LiveSubscriber } from './groups.ts';
import { PacedGroup } from './paced-group.ts';
import { SubscriberGroup } from './subscriber-group.ts';

/** A list of the busiest topics is used again for this many times as long as it took to make. */
const BUSIEST_PAUSE = 20;
/** Groups that are told their position in one turn of the event loop. */
const TOLD_PER_TURN = 500;

export interface HubOptions {
  readonly batchUnits?: number;
  readonly meter?: Meter;
  readonly tracing?: Tracing;
}

export class Hub {
  /** UTF-16 units of event bodies that are handed to a subscriber at once, about. */
  readonly batchUnits: number;
  readonly activeChannels = new ActiveChannels();
  readonly #byChannel = new Map<string, Set<Group>>();
  readonly #byFamily = new Map<string, Set<Group>>();
  /** Of `**`. They are in every family of the contract, too. */
  readonly #ofEverything = new Set<Group>();
  readonly #meter: Meter;
  readonly #tracing: Tracing;
  /** By the key of their filter. */
  readonly #groups = new Map<string, Group>();
  /** The lists of the busiest topics that were made last, by their length. */
  readonly #busiest = new Map<number, { readonly topics: readonly Topic[]; readonly until: number }>();
  /** Groups that have gathered something. */
  #gathering: Group[] = [];
  /** Since when, in ms of the monotonic clock. */
  #gatheringSince = 0;
  #subscribers = 0;

  constructor({ batchUnits = BATCH_UNITS, meter = noMeter, tracing = noTracing }: HubOptions = {}) {
    this.batchUnits = batchUnits;
    this.#meter = meter;
    this.#tracing = tracing;
  }

  /**
   * Hands the subscriber each event that its filter selects and that is dispatched from now on, until it leaves the group
   * that is returned.
   *
   * @param seq of the last event or notice that the subscriber was handed.
   */
  join(filter: Filter, subscriber: LiveSubscriber, seq: number): Group {
    const key = filterKey(filter);
    const group = this.#groups.get(key) ?? this.#open(key, filter, seq);
    group.join(subscriber, seq);
    this.#subscribers += 1;
    return group;
  }

  /** Passes an event to all whose filter selects it. A channel set is in normal form, so no group is found twice. */
  dispatch(delivery: Delivery): void {
    this.activeChannels.note(delivery);
    const ofChannel = this.#dispatchTo(this.#byChannel.get(delivery.channel), delivery);
    // With such groups only a family that the contract does not have is without any.
    const groups = delivery.family === undefined ? undefined : (this.#byFamily.get(delivery.family) ?? this.#ofEverything);
    const ofFamily = this.#dispatchTo(groups, delivery);
    if (ofChannel + ofFamily === 0) return;
    const onDelivered = this.#tracing.deliver(delivery, ofChannel + ofFamily);
    // The hand-over is a microtask, and asks for another that writes to the sockets: this one comes behind it.
    if (onDelivered !== undefined) queueMicrotask(() => queueMicrotask(onDelivered));
  }

  /**
   * Tells the subscribers to whom nothing was handed over after `seq` their position: some groups in each turn of the event loop.
   *
   * @param makeNotice makes a notice of the present position, once for each turn: subscribers that have joined meanwhile must
   * not be told an earlier one.
   */
  tellQuiet(makeNotice: () => Batch, seq: number): void {
    const groups = [...this.#groups.values()];
    const tellSome = (from: number) => {
      const notice = makeNotice();
      for (const group of groups.slice(from, from + TOLD_PER_TURN)) group.tellQuiet(notice, seq);
      if (from + TOLD_PER_TURN < groups.length) setImmediate(tellSome, from + TOLD_PER_TURN);
    };
    tellSome(0);
  }

  /** Sends every live subscriber back to the log, from after `seq`. */
  interrupt(seq: number): void {
    for (const group of [...this.#groups.values()]) group.interrupt(seq);
  }

  /** Hands over now what was dispatched in this turn of the event loop. */
  settle(): void {
    if (this.#gathering.length > 0) this.#handOver();
  }

  /** Live subscribers. */
  get subscribers(): number {
    return this.#subscribers;
  }

  /** Single channels and families that have live subscribers. */
  get topics(): number {
    return this.#byChannel.size + this.#byFamily.size;
  }

  /** Live subscribers of a single channel, without those of its whole family. */
  subscribersOf(channel: string): number {
    const groups = this.#byChannel.get(channel);
    return groups === undefined ? 0 : count(groups);
  }

  /** The topics with the most subscribers, most first: channels, and families in the form `family.*`. */
  busiest(most: number): readonly Topic[] {
    const now = performance.now();
    const known = this.#busiest.get(most);
    if (known !== undefined && now < known.until) return known.topics;
    const busiest = new Busiest(most);
    for (const [family, groups] of this.#byFamily) busiest.add(familyPattern(family), count(groups));
    for (const [channel, groups] of this.#byChannel) busiest.add(channel, count(groups));
    const { topics } = busiest;
    // A walk through hundreds of thousands of topics is slow: however often it is asked for, it may take a small part of all time.
    this.#busiest.set(most, { topics, until: now + BUSIEST_PAUSE * (performance.now() - now) });
    return topics;
  }

  /** Returns to how many subscribers the event goes. */
  #dispatchTo(groups: ReadonlySet<Group> | undefined, delivery: Delivery): number {
    if (groups === undefined) return 0;
    let subscribers = 0;
    for (const group of groups) {
      const selected = delivery.under(group.filter);
      if (selected === undefined) continue;
      subscribers += group.size;
      if (!group.take(selected)) continue;
      if (this.#gathering.length === 0) {
        this.#gatheringSince = performance.now();
        queueMicrotask(() => this.#handOver());
      }
      this.#gathering.push(group);
    }
    return subscribers;
  }

  #handOver(): void {
    const gathering = this.#gathering;
    if (gathering.length === 0) return;
    this.#gathering = [];
    for (const group of gathering) group.handOver();
    const since = this.#gatheringSince;
    // The sockets are written to in a microtask that was asked for before this one.
    queueMicrotask(() => this.#meter.deliveryTook((performance.now() - since) / 1000));
  }

  #open(key: string, filter: Filter, seq: number): Group {
    const options = {
      batchUnits: this.batchUnits,
      meter: this.#meter,
      onLeft: () => {
        this.#subscribers -= 1;
      },
      onEmpty: () => this.#close(key, group),
    };
    const group: Group =
      filter.maxPerSecond === undefined
        ? new SubscriberGroup(filter, seq, options)
        : new PacedGroup(filter, { ...options, maxPerSecond: filter.maxPerSecond });
    this.#groups.set(key, group);
    for (const channel of filter.channels.singles) addTo(this.#byChannel, channel, group);
    for (const family of filter.channels.families) addTo(this.#byFamily, family, group);
    if (filter.channels.everything) this.#ofEverything.add(group);
    return group;
  }

  #close(key: string, group: Group): void {
    this.#groups.delete(key);
    for (const channel of group.filter.channels.singles) removeFrom(this.#byChannel, channel, group);
    for (const family of group.filter.channels.families) removeFrom(this.#byFamily, family, group);
    this.#ofEverything.delete(group);
  }
}

export interface Topic {
  /** A channel, or a family in the form `family.*`. */
  readonly channel: string;
  readonly subscribers: number;
}

/** Finds the topics with the most subscribers among many, without sorting them all. */
class Busiest {
  readonly #most: number;
  #topics: Topic[] = [];
  /** Subscribers that a topic needs to be among them. */
  #least = 1;

  constructor(most: number) {
    this.#most = most;
  }

  add(channel: string, subscribers: number): void {
    if (subscribers < this.#least) return;
    this.#topics.push({ channel, subscribers });
    if (this.#topics.length >= 2 * this.#most) this.#cut();
  }

  get topics(): Topic[] {
    this.#cut();
    return this.#topics;
  }

  #cut(): void {
    this.#topics = this.#topics.sort((a, b) => b.subscribers - a.subscribers || (a.channel < b.channel ? -1 : 1)).slice(0, this.#most);
    // Another topic with as many subscribers would not be among them.
    if (this.#topics.length === this.#most) this.#least = (this.#topics.at(-1)?.subscribers ?? 0) + 1;
  }
}

function count(groups: ReadonlySet<Group>): number {
  let subscribers = 0;
  for (const { size } of groups) subscribers += size;
  return subscribers;
}

function addTo<K>(index: Map<K, Set<Group>>, key: K, group: Group): void {
  const set = index.get(key);
  if (set === undefined) index.set(key, new Set([group]));
  else set.add(group);
}

function removeFrom<K>(index: Map<K, Set<Group>>, key: K, group: Group): void {
  const set = index.get(key);
  set?.delete(group);
  if (set?.size === 0) index.delete(key);
}
