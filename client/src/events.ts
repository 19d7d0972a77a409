/** The types of events, by type and by channel: what a caller can publish, and what a subscription receives. */
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

/** An event; a union over all types when no type is named. */
export type CourierEvent<T extends EventType = EventType> = { [K in T]: Envelope<K, ChannelOf<K>, EventData<K>> }[T];

type CarriedBy<F extends ChannelFamily> = EventTypesByFamily[F];
/** The events that a channel, or the channels that a pattern matches, can carry. */
export type EventOn<P extends string> = {
  [T in CarriedBy<FamilyMatching<P>>]: Envelope<T, ChannelIn<FamilyOf<T> & FamilyMatching<P>>, EventData<T>>;
}[CarriedBy<FamilyMatching<P>>];

/** Channel names and patterns. One that can match no channel does not compile. */
export type Channels<P extends string> = P extends P ? ([FamilyMatching<P>] extends [never] ? never : P) : never;

/** Events are missing: those after `requested`, up to `resumed_from`. */
export type Gap = NoticeDataByType['courier.gap'];
export type GapNotice = Envelope<'courier.gap', 'courier', Gap>;
export type LiveNotice = Envelope<'courier.live', 'courier', NoticeDataByType['courier.live']>;
export type Notice = GapNotice | LiveNotice;

/** What a publisher may say about an event beyond its data. Courier adds the source, and the timestamp when it is absent. */
export interface DraftMetadata {
  timestamp?: Date | string | undefined;
  correlation_id?: string | undefined;
  user_id?: string | undefined;
  traceparent?: string | undefined;
}

/** What a caller hands in to publish an event. */
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
  /** True when the gateway knew the idempotency key: the receipt is that of the event it stored first. */
  duplicate: boolean;
}

/** One page of stored events, in the order of the request. */
export interface HistoryPage<E> {
  events: E[];
  /** The `after` of the next page, also at the end of the log; the `before` of the next page when the newest events come first. */
  next: string;
  has_more: boolean;
  /** Set when events after `after` are missing. */
  gap: Gap | null;
}
