/** What can be published where, and what comes back from where, for the compiler. */
import type { ChannelFamily, ChannelIn, FamilyMatching } from '../../src/contract/channels.ts';
import type { Envelope, EventMetadata } from '../../src/contract/envelope.ts';
import type { EventDataByType, EventType, EventTypesByFamily, EventTypesByService, NoticeDataByType } from './contract.ts';

export type { ChannelFamily, EventDataByType, EventMetadata, EventType };
export type Service = keyof EventTypesByService;

/** The data of a type. */
export type EventData<T extends EventType> = EventDataByType[T];
/** The families whose channels may carry a type. */
type FamilyOf<T extends EventType> = T extends EventType
  ? { [F in ChannelFamily]: T extends EventTypesByFamily[F] ? F : never }[ChannelFamily]
  : never;
/** The channels that may carry a type. */
export type ChannelOf<T extends EventType> = ChannelIn<FamilyOf<T>>;

/** An event; a union over all types when none is named. */
export type CourierEvent<T extends EventType = EventType> = { [K in T]: Envelope<K, ChannelOf<K>, EventData<K>> }[T];

type CarriedBy<F extends ChannelFamily> = EventTypesByFamily[F];
/** The events that a channel, or the channels that a pattern matches, can carry. */
export type EventOn<P extends string> = {
  [T in CarriedBy<FamilyMatching<P>>]: Envelope<T, ChannelIn<FamilyOf<T> & FamilyMatching<P>>, EventData<T>>;
}[CarriedBy<FamilyMatching<P>>];

/** Channel names and patterns; one that nothing can match does not compile. */
export type Channels<P extends string> = P extends P ? ([FamilyMatching<P>] extends [never] ? never : P) : never;

/** Events are missing: those after `requested`, up to `resumed_from`. */
export type Gap = NoticeDataByType['courier.gap'];
export type GapNotice = Envelope<'courier.gap', 'courier', Gap>;
export type LiveNotice = Envelope<'courier.live', 'courier', NoticeDataByType['courier.live']>;
export type Notice = GapNotice | LiveNotice;

/** What may be said about an event beyond its data. Courier adds the source, and the timestamp where it is absent. */
export interface DraftMetadata {
  timestamp?: Date | string | undefined;
  correlation_id?: string | undefined;
  user_id?: string | undefined;
  traceparent?: string | undefined;
}

/** What is handed in to publish an event. */
export type EventDraft<T extends EventType = EventType> = {
  [K in T]: {
    type: K;
    channel: ChannelOf<K>;
    data: EventData<K>;
    metadata?: DraftMetadata | undefined;
    /** A publish that is repeated with the same key within 24 h is stored once. */
    idempotency_key?: string | undefined;
  };
}[T];

/** The answer to a publish: the event is stored. */
export interface Receipt<T extends EventType = EventType> {
  /** The event's position. */
  id: string;
  channel: string;
  type: T;
  timestamp: Date;
  /** True when the idempotency key was known: the receipt is of the event that was stored first. */
  duplicate: boolean;
}

/** One page of what was published before, in the order that was asked for. */
export interface HistoryPage<E> {
  events: E[];
  /** The `after` of the next page, also at the end of the log; the `before` of the next where the newest come first. */
  next: string;
  has_more: boolean;
  /** Set when the events after `after` cannot all be given. */
  gap: Gap | null;
}
