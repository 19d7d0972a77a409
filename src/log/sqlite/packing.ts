/**
 * Events on their way between the threads. What threads say to each other is copied value by value: a flat list of texts and numbers
 * costs a tenth of what the same objects cost.
 */
import type { LogPage, NewEvent, StoredEvent } from '../log.ts';
import type { Moment } from '../steady-clock.ts';

/** The events of one append, and when it was made. */
export interface Append {
  readonly events: readonly NewEvent[];
  readonly now: Moment;
}

/** The fields of things, one after another. */
export type Packed = (string | number | undefined)[];

/** Adds an append: how many events, its moment, and the fields of the events. */
export function pack(packed: Packed, { events, now }: Append): void {
  packed.push(events.length, now.earliest, now.latest);
  for (const { channel, family, type, version, body, idempotency } of events)
    packed.push(channel, family, type, version, body, idempotency?.principal, idempotency?.key);
}

/** Fields of an append, of an event that is appended (from its channel to its body as one that is stored), and of a stored event. */
const [APPEND_FIELDS, APPENDED_FIELDS, STORED_FIELDS] = [3, 7, 6];

export function unpack(packed: Packed): Append[] {
  const appends: Append[] = [];
  for (let at = 0; at < packed.length; ) {
    const [count, earliest, latest] = [packed[at], packed[at + 1], packed[at + 2]] as [number, number, number];
    at += APPEND_FIELDS;
    const events: NewEvent[] = [];
    for (; events.length < count; at += APPENDED_FIELDS) events.push(eventAt(packed, at));
    appends.push({ events, now: { earliest, latest } });
  }
  return appends;
}

function eventAt(packed: Packed, at: number): NewEvent {
  const [principal, key] = [packed[at + 5], packed[at + 6]] as [string | undefined, string | undefined];
  return {
    channel: packed[at] as string,
    family: packed[at + 1] as string,
    type: packed[at + 2] as string,
    version: packed[at + 3] as number,
    body: packed[at + 4] as string,
    idempotency: principal === undefined || key === undefined ? undefined : { principal, key },
  };
}

/** The events of appends that were stored under the numbers from `first` on: all but those with these indices. */
export function placedEvents(
  packed: Packed,
  { first, duplicates }: { readonly first: number; readonly duplicates: readonly number[] },
): StoredEvent[] {
  const placed: StoredEvent[] = [];
  const known = new Set(duplicates);
  let index = 0;
  for (let at = 0; at < packed.length; ) {
    const end = index + (packed[at] as number);
    at += APPEND_FIELDS;
    for (; index < end; index += 1, at += APPENDED_FIELDS) if (!known.has(index)) placed.push(storedAt(packed, at, first + placed.length));
  }
  return placed;
}

/** A page, whose events are packed. */
export type PackedPage = Omit<LogPage, 'events'> & { readonly packed: Packed };

export function packPage({ events, ...bounds }: LogPage): PackedPage {
  return { packed: packEvents(events), ...bounds };
}

export function unpackPage({ packed, ...bounds }: PackedPage): LogPage {
  return { events: unpackEvents(packed), ...bounds };
}

export function packEvents(events: readonly StoredEvent[]): Packed {
  const packed: Packed = [];
  for (const { seq, channel, family, type, version, body } of events) packed.push(seq, channel, family, type, version, body);
  return packed;
}

export function unpackEvents(packed: Packed): StoredEvent[] {
  const events: StoredEvent[] = [];
  for (let at = 0; at < packed.length; at += STORED_FIELDS) events.push(storedAt(packed, at + 1, packed[at] as number));
  return events;
}

/** The event whose channel stands at `at`. */
function storedAt(packed: Packed, at: number, seq: number): StoredEvent {
  return {
    seq,
    channel: packed[at] as string,
    family: packed[at + 1] as string,
    type: packed[at + 2] as string,
    version: packed[at + 3] as number,
    body: packed[at + 4] as string,
  };
}
