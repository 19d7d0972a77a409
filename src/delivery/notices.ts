/** The notices that Courier itself puts among a subscriber's events. They have positions like events, so that a client resumes after them. */
import { type GapReason, NOTICE_CHANNEL } from '../contract/events/courier.ts';
import type { GapNotice, LiveNotice } from '../contract/events/index.ts';
import { type Position, positionOf } from '../contract/position.ts';
import { Delivery } from './delivery.ts';

/** Events between `requested` and number `resumedFrom` cannot be given, or `requested` is of no use here. */
export function gapNotice(epoch: string, reason: GapReason, requested: Position, resumedFrom: number): Delivery {
  const data: GapNotice['data'] = {
    reason,
    requested: positionOf(requested.epoch, requested.seq),
    resumed_from: positionOf(epoch, resumedFrom),
  };
  return notice(epoch, 'courier.gap', resumedFrom, data);
}

/** Everything up to number `seq` has been given, `replayed` events of it from the log. */
export function liveNotice(epoch: string, seq: number, replayed: number): Delivery {
  const data: LiveNotice['data'] = { position: positionOf(epoch, seq), replayed };
  return notice(epoch, 'courier.live', seq, data);
}

function notice(epoch: string, type: string, seq: number, data: object): Delivery {
  const metadata = { timestamp: new Date().toISOString(), source: 'courier' };
  const body = JSON.stringify({ channel: NOTICE_CHANNEL, type, metadata, data });
  return new Delivery(epoch, { seq, channel: NOTICE_CHANNEL, family: undefined, type, body });
}
