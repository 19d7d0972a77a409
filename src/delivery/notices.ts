/** The notices that Courier itself puts among a subscriber's events. They have positions like events, so that a client resumes after them. */
import { type GapReason, NOTICE_CHANNEL } from '../contract/events/courier.ts';
import type { GapNotice, LiveNotice } from '../contract/events/index.ts';
import type { Positions } from '../log/positions.ts';
import { Batch } from './batch.ts';
import { Delivery } from './delivery.ts';

/** Events between `requested` and number `resumedFrom` cannot be given, or `requested` is of no use here. */
export function gapNotice(positions: Positions, reason: GapReason, requested: string, resumedFrom: number): Batch {
  const data: GapNotice['data'] = {
    reason,
    requested,
    resumed_from: positions.at(resumedFrom),
  };
  return notice(positions, 'courier.gap', resumedFrom, data);
}

/** Everything up to number `seq` has been given, `replayed` events of it from the log. */
export function liveNotice(positions: Positions, seq: number, replayed: number): Batch {
  const data: LiveNotice['data'] = { position: positions.at(seq), replayed };
  return notice(positions, 'courier.live', seq, data);
}

function notice(positions: Positions, type: string, seq: number, data: object): Batch {
  const metadata = { timestamp: new Date().toISOString(), source: 'courier' };
  const body = JSON.stringify({ channel: NOTICE_CHANNEL, type, metadata, data });
  return new Batch([new Delivery(positions.at(seq), { seq, channel: NOTICE_CHANNEL, family: undefined, type, body })]);
}
