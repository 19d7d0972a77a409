/** The notices that Courier itself puts among the events of a subscription. */
import { type GapReason, NOTICE_CHANNEL } from '../contract/events/courier.ts';
import type { GapNotice, LiveNotice } from '../contract/events/index.ts';
import type { Positions } from '../log/positions.ts';
import { Batch, Delivery } from './batch.ts';

/** A notice that the events between `requested` and number `resumedFromSeq` cannot be given, or that `requested` is of no use here. */
export function gapNotice(positions: Positions, reason: GapReason, requested: string, resumedFromSeq: number): Batch {
  const data: GapNotice['data'] = { reason, requested, resumed_from: positions.at(resumedFromSeq) };
  return notice(positions, 'courier.gap', resumedFromSeq, data);
}

/** A notice that everything up to number `seq` has been given, `replayed` events of it from the log. */
export function liveNotice(positions: Positions, seq: number, replayed: number): Batch {
  const data: LiveNotice['data'] = { position: positions.at(seq), replayed };
  return notice(positions, 'courier.live', seq, data);
}

/** Notices have positions like events, so that a client resumes after them. */
function notice(positions: Positions, type: string, seq: number, data: object): Batch {
  const metadata = { timestamp: new Date().toISOString(), source: 'courier' };
  const body = JSON.stringify({ channel: NOTICE_CHANNEL, type, metadata, data });
  return new Batch([new Delivery(positions.at(seq), { seq, channel: NOTICE_CHANNEL, family: undefined, type, body })]);
}
