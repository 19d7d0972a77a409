/** Subscribers of events are served from the log, its tail and the hub. */
import { selects } from '../contract/filter.ts';
import { gapNotice, liveNotice } from './notices.ts';
import type { Pipeline } from './pipeline.ts';
import type { Source } from './source.ts';

/** @param notices of whoever reads them; those that subscribers are told when absent. */
export function eventSource(
  { log, tail, hub, reads, meter }: Pick<Pipeline, 'log' | 'tail' | 'hub' | 'reads' | 'meter'>,
  notices?: Pick<Source, 'caughtUp' | 'missing'>,
): Source {
  const { positions } = log;
  return {
    get seq() {
      return tail.seq;
    },
    reached: (seq, signal) => tail.reached(seq, signal),
    covers: (seq) => tail.window.covers(seq, tail.seq),
    *recent(filter, afterSeq) {
      for (const delivery of tail.window.after(afterSeq)) if (selects(filter, delivery)) yield delivery;
    },
    read: (filter, afterSeq, signal) => reads.read(filter, afterSeq, signal),
    hub,
    cutOvers: tail.cutOvers,
    quietEvents: tail.quietEvents,
    caughtUp: notices?.caughtUp ?? ((seq, count) => liveNotice(positions, seq, count)),
    missing: notices?.missing ?? ((afterSeq, resumedSeq) => gapNotice(positions, 'expired', positions.at(afterSeq), resumedSeq)),
    meter,
  };
}
