/**
 * Pages on their way between threads. What threads say to each other is copied value by value: a flat list of texts and numbers
 * costs a tenth of what the same objects cost.
 */
import type { LogPage, StoredEvent } from '../log.ts';

/** The fields of things, one after another. */
export type Packed = (string | number)[];

/** Of an event. */
const FIELDS = 6;

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
  for (let at = 0; at < packed.length; at += FIELDS) {
    events.push({
      seq: packed[at] as number,
      channel: packed[at + 1] as string,
      family: packed[at + 2] as string,
      type: packed[at + 3] as string,
      version: packed[at + 4] as number,
      body: packed[at + 5] as string,
    });
  }
  return events;
}
