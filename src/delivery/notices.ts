/** The notices that Courier itself puts among the events of a subscription. */
import {
  type Gap,
  type GapReason,
  type Live,
  NOTICE_CHANNEL,
  type StateReady,
  type StateReset,
  type StateResetReason,
} from '../contract/envelope.ts';
import type { StoredEvent } from '../log/log.ts';
import type { Positions } from '../log/positions.ts';
import { Batch, Delivery } from './batch.ts';

/** A notice that the events between `requested` and number `resumedFromSeq` cannot be given, or that `requested` is of no use here. */
export function gapNotice(positions: Positions, reason: GapReason, requested: string, resumedFromSeq: number): Batch {
  const data: Gap = { reason, requested, resumed_from: positions.at(resumedFromSeq) };
  return notice(positions, 'courier.gap', resumedFromSeq, data);
}

/** A notice that everything up to number `seq` has been given, `replayed` events of it from the log. */
export function liveNotice(positions: Positions, seq: number, replayed: number): Batch {
  const data: Live = { position: positions.at(seq), replayed };
  return notice(positions, 'courier.live', seq, data);
}

/** A notice that the state up to number `seq` has been given, in `items` items. @param id where a client goes on that has it. */
export function readyNotice(positions: Positions, id: string, seq: number, items: number): Batch {
  const data: StateReady = { position: positions.at(seq), items };
  return noticeAt(id, 'state.ready', seq, data);
}

/** A notice that the state is given from its beginning, as `requested` is of no use. */
export function resetNotice(positions: Positions, reason: StateResetReason, requested: string): Batch {
  const data: StateReset = { reason, requested };
  return notice(positions, 'state.reset', 0, data);
}

/** A notice in the place of an event: whoever was to get the event gets the notice. */
export function unreadableEvent(positions: Positions, event: StoredEvent): Delivery {
  const data: Gap = { reason: 'unreadable', requested: positions.at(event.seq - 1), resumed_from: positions.at(event.seq) };
  return new Delivery(positions.at(event.seq), { ...event, later: undefined, body: bodyOf('courier.gap', data) }, 'courier.gap');
}

/** Notices have positions like events, so that a client resumes after them. */
function notice(positions: Positions, type: string, seq: number, data: object): Batch {
  return noticeAt(positions.at(seq), type, seq, data);
}

function noticeAt(position: string, type: string, seq: number, data: object): Batch {
  return new Batch([new Delivery(position, { seq, channel: NOTICE_CHANNEL, family: undefined, type, body: bodyOf(type, data) })]);
}

function bodyOf(type: string, data: object): string {
  const metadata = { timestamp: new Date().toISOString(), source: 'courier' };
  return JSON.stringify({ channel: NOTICE_CHANNEL, type, metadata, data });
}
