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

/** Fields of an event that is appended, and of one in a page. */
const [APPENDED_FIELDS, STORED_FIELDS] = [7, 6];

export function unpack(packed: Packed): Append[] {
  const appends: Append[] = [];
  for (let at = 0; at < packed.length; ) {
    const [count, earliest, latest] = [packed[at], packed[at + 1], packed[at + 2]] as [number, number, number];
    at += 3;
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

/** A page, whose events are fields: seq, channel, family, type, version, body. */
export type PackedPage = Omit<LogPage, 'events'> & { readonly packed: Packed };

export function packPage({ events, ...bounds }: LogPage): PackedPage {
  const packed: Packed = [];
  for (const { seq, channel, family, type, version, body } of events) packed.push(seq, channel, family, type, version, body);
  return { packed, ...bounds };
}

export function unpackPage({ packed, ...bounds }: PackedPage): LogPage {
  const events: StoredEvent[] = [];
  for (let at = 0; at < packed.length; at += STORED_FIELDS) {
    events.push({
      seq: packed[at] as number,
      channel: packed[at + 1] as string,
      family: packed[at + 2] as string,
      type: packed[at + 3] as string,
      version: packed[at + 4] as number,
      body: packed[at + 5] as string,
    });
  }
  return { events, ...bounds };
}
