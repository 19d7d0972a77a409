/**
 * Pages on their way between threads. What threads say to each other is copied value by value: a flat list of texts and numbers
 * costs a tenth of what the same objects cost.
 */

import type { LogPage, StoredEvent } from '../log.ts';
import type { StateAnswer, StateCall, StateCondition, StateRow, StateRows } from '../state-store.ts';

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

/** Of a row of states. */
const ROW_FIELDS = 8;

/** A call of the states, and its answer, whose rows are packed. */
export type PackedCall =
  | Exclude<StateCall, { method: 'write' }>
  | { readonly method: 'write'; readonly input: Omit<Write, 'rows'>; readonly packed: Packed };
export type PackedAnswer = StateAnswer | (Omit<StateRows, 'rows'> & { readonly packed: Packed });
type Write = Extract<StateCall, { method: 'write' }>['input'];

export function packCall(call: StateCall): PackedCall {
  if (call.method !== 'write') return call;
  const { rows, ...input } = call.input;
  return { method: 'write', input, packed: packRows(rows) };
}

export function unpackCall(call: PackedCall): StateCall {
  return call.method === 'write' ? { method: 'write', input: { ...call.input, rows: unpackRows(call.packed) } } : call;
}

export function packAnswer({ method }: PackedCall, answer: StateAnswer): PackedAnswer {
  if (method !== 'read') return answer;
  const { rows, ...rest } = answer as StateRows;
  return { ...rest, packed: packRows(rows) };
}

export function unpackAnswer({ method }: StateCall, answer: PackedAnswer): StateAnswer {
  if (method !== 'read') return answer as StateAnswer;
  const { packed, ...rest } = answer as Exclude<PackedAnswer, StateAnswer>;
  return { ...rest, rows: unpackRows(packed) };
}

function packRows(rows: readonly StateRow[]): Packed {
  const packed: Packed = [];
  for (const { build, channel, family, key, seq, sinceSeq, condition, body } of rows)
    packed.push(build, channel, family, key, seq, sinceSeq, condition, body);
  return packed;
}

function unpackRows(packed: Packed): StateRow[] {
  const rows: StateRow[] = [];
  for (let at = 0; at < packed.length; at += ROW_FIELDS) {
    rows.push({
      build: packed[at] as number,
      channel: packed[at + 1] as string,
      family: packed[at + 2] as string,
      key: packed[at + 3] as string,
      seq: packed[at + 4] as number,
      sinceSeq: packed[at + 5] as number,
      condition: packed[at + 6] as StateCondition,
      body: packed[at + 7] as string,
    });
  }
  return rows;
}
