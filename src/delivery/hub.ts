/**
 * Who listens to what. Finding the audiences of an event costs two look-ups, one by channel and one by family, plus one
 * step for each that matches, however many channels, patterns and subscribers there are.
 */
import { type ChannelFamily, familyForm } from '../contract/channels.ts';
import { type Meter, noMeter } from '../observe/meter.ts';
import { noTrail, type Trail } from '../observe/trail.ts';
import { Activity } from './activity.ts';
import { Audience, type Member } from './audience.ts';
import { BATCH_LENGTH, type Batch } from './batch.ts';
import type { Delivery } from './delivery.ts';
import { type Interest, keyOf } from './interest.ts';

/** How much longer than a look through all topics took there is none. */
const LOOK_PAUSE = 20;
/** Audiences that are told where they are in one turn of the event loop. */
const TOLD_PER_TURN = 500;

export class Hub {
  /** UTF-16 units of event bodies that are handed to a subscriber at once, about. */
  readonly batchLength: number;
  /** What was dispatched of late. */
  readonly activity = new Activity();
  readonly #byChannel = new Map<string, Set<Audience>>();
  readonly #byFamily = new Map<ChannelFamily, Set<Audience>>();
  readonly #meter: Meter;
  readonly #trail: Trail;
  readonly #audiences = new Map<string, Audience>();
  /** What was found last, by how many were asked for. */
  readonly #busiest = new Map<number, { readonly topics: readonly Topic[]; readonly until: number }>();
  /** Audiences that have gathered something. */
  #gathering: Audience[] = [];
  /** Since when, in ms of the monotonic clock. */
  #gatheringSince = 0;
  #listeners = 0;

  constructor({
    batchLength = BATCH_LENGTH,
    meter = noMeter,
    trail = noTrail,
  }: { batchLength?: number; meter?: Meter; trail?: Trail } = {}) {
    this.batchLength = batchLength;
    this.#meter = meter;
    this.#trail = trail;
  }

  /**
   * The member is given each event of its interest that is dispatched from now on, until it leaves what is returned.
   *
   * @param seq the number that the member knows to be at.
   */
  join(interest: Interest, member: Member, seq: number): Audience {
    const key = keyOf(interest);
    const audience = this.#audiences.get(key) ?? this.#open(key, interest, seq);
    audience.join(member);
    this.#listeners += 1;
    return audience;
  }

  /** Passes an event to everyone who listens. A selector is in normal form, so nobody is found twice. */
  dispatch(delivery: Delivery): void {
    this.activity.note(delivery);
    const ofChannel = this.#dispatchTo(this.#byChannel.get(delivery.channel), delivery);
    const ofFamily = delivery.family === undefined ? 0 : this.#dispatchTo(this.#byFamily.get(delivery.family), delivery);
    if (ofChannel + ofFamily === 0) return;
    const onHanded = this.#trail.deliver(delivery, ofChannel + ofFamily);
    // The sockets are written to in a microtask that one asked for already asks for.
    if (onHanded !== undefined) queueMicrotask(() => queueMicrotask(onHanded));
  }

  /**
   * Tells those where they are who were given nothing after `seq`: some in each turn of the event loop.
   *
   * @param makeNotice of where they are by then: whoever has joined meanwhile must not be told of an earlier place.
   */
  tellQuiet(makeNotice: () => Batch, seq: number): void {
    const audiences = [...this.#audiences.values()];
    const tellSome = (from: number) => {
      const notice = makeNotice();
      for (const audience of audiences.slice(from, from + TOLD_PER_TURN)) audience.tellQuiet(notice, seq);
      if (from + TOLD_PER_TURN < audiences.length) setImmediate(tellSome, from + TOLD_PER_TURN);
    };
    tellSome(0);
  }

  /** Sends every member back to the log, from after `seq`. */
  interrupt(seq: number): void {
    for (const audience of [...this.#audiences.values()]) audience.interrupt(seq);
  }

  get listeners(): number {
    return this.#listeners;
  }

  /** Single channels and families that somebody listens to. */
  get topics(): number {
    return this.#byChannel.size + this.#byFamily.size;
  }

  /** Subscribers of a single channel; those of its whole family do not count. */
  subscribersOf(channel: string): number {
    const audiences = this.#byChannel.get(channel);
    return audiences === undefined ? 0 : count(audiences);
  }

  /** The topics with the most subscribers, most first: channels, and families in the form `family.*`. */
  busiest(most: number): readonly Topic[] {
    const now = performance.now();
    const known = this.#busiest.get(most);
    if (known !== undefined && now < known.until) return known.topics;
    const busiest = new Busiest(most);
    for (const [family, audiences] of this.#byFamily) busiest.add(familyForm(family).replace('{id}', '*'), count(audiences));
    for (const [channel, audiences] of this.#byChannel) busiest.add(channel, count(audiences));
    const { topics } = busiest;
    // Looking through hundreds of thousands takes its time: however often they are asked for, it is a small part of all time.
    this.#busiest.set(most, { topics, until: now + LOOK_PAUSE * (performance.now() - now) });
    return topics;
  }

  /** Returns how many subscribers it goes to. */
  #dispatchTo(audiences: ReadonlySet<Audience> | undefined, delivery: Delivery): number {
    if (audiences === undefined) return 0;
    let subscribers = 0;
    for (const audience of audiences) {
      if (!audience.wants(delivery)) continue;
      subscribers += audience.size;
      if (!audience.take(delivery)) continue;
      if (this.#gathering.length === 0) {
        this.#gatheringSince = performance.now();
        queueMicrotask(() => this.#give());
      }
      this.#gathering.push(audience);
    }
    return subscribers;
  }

  #give(): void {
    const gathering = this.#gathering;
    this.#gathering = [];
    for (const audience of gathering) audience.give();
    const since = this.#gatheringSince;
    // The sockets are written to in a microtask that was asked for before this one.
    queueMicrotask(() => this.#meter.deliveryTook((performance.now() - since) / 1000));
  }

  #open(key: string, interest: Interest, seq: number): Audience {
    const audience = new Audience(interest, seq, this.batchLength, this.#meter, () => {
      this.#listeners -= 1;
      if (audience.size === 0) this.#close(key, audience);
    });
    this.#audiences.set(key, audience);
    for (const channel of interest.selector.channels) addTo(this.#byChannel, channel, audience);
    for (const family of interest.selector.families) addTo(this.#byFamily, family, audience);
    return audience;
  }

  #close(key: string, audience: Audience): void {
    this.#audiences.delete(key);
    for (const channel of audience.selector.channels) removeFrom(this.#byChannel, channel, audience);
    for (const family of audience.selector.families) removeFrom(this.#byFamily, family, audience);
  }
}

export interface Topic {
  /** A channel, or a family in the form `family.*`. */
  readonly channel: string;
  readonly subscribers: number;
}

/** Those of many topics that have the most subscribers, without sorting them all. */
class Busiest {
  readonly #most: number;
  #topics: Topic[] = [];
  /** What a topic needs to be among them. */
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
    // Of as many subscribers others are not looked at any more.
    if (this.#topics.length === this.#most) this.#least = (this.#topics.at(-1)?.subscribers ?? 0) + 1;
  }
}

function count(audiences: ReadonlySet<Audience>): number {
  let subscribers = 0;
  for (const { size } of audiences) subscribers += size;
  return subscribers;
}

function addTo<K>(index: Map<K, Set<Audience>>, key: K, audience: Audience): void {
  const set = index.get(key);
  if (set === undefined) index.set(key, new Set([audience]));
  else set.add(audience);
}

function removeFrom<K>(index: Map<K, Set<Audience>>, key: K, audience: Audience): void {
  const set = index.get(key);
  set?.delete(audience);
  if (set?.size === 0) index.delete(key);
}
