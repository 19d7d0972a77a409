/** The envelope of every event and notice on the wire, and of drafts, as types. Clients import this file, so it imports nothing. */

export interface EventMetadata {
  /** When the event happened. A Date over tRPC, an ISO 8601 string in UTC in plain JSON. */
  timestamp: Date;
  /** The publisher: the `sub` of its token. */
  source: string;
  /** Of the piece of work that the event belongs to: the publisher's, else its cause, else its own id. Notices have none. */
  correlation_id?: string;
  /** The id of the event that led to this one. */
  causation_id?: string;
  user_id?: string;
  /** W3C trace context: the publisher's, or that of Courier's own span where Courier records spans. */
  traceparent?: string;
}

/** An event as subscribers get it. */
export interface Envelope<TType extends string, TChannel extends string, TData> {
  /** The event's position in the log. */
  id: string;
  channel: TChannel;
  type: TType;
  metadata: EventMetadata;
  data: TData;
}

/** What a publisher may say about an event beyond its data. Courier adds the source, and the timestamp when it is absent. */
export interface DraftMetadata<TInstant = Date | string> {
  timestamp?: TInstant | undefined;
  correlation_id?: string | undefined;
  /** The id of the event that led to this one. */
  causation_id?: string | undefined;
  user_id?: string | undefined;
  traceparent?: string | undefined;
}

/** What a publisher hands in to publish an event. `TInstant` is Date once the draft has been checked. */
export interface Draft<TType extends string, TChannel extends string, TData, TInstant = Date | string> {
  type: TType;
  channel: TChannel;
  data: TData;
  metadata?: DraftMetadata<TInstant> | undefined;
  /** A publish that is repeated with the same key within 24 h is stored once. */
  idempotency_key?: string | undefined;
}

/** The `channel` of Courier's own notices, which the grammar of channels does not allow. */
export const NOTICE_CHANNEL = 'courier';

/** Why Courier cannot deliver all events after the requested position. */
export const GAP_REASONS = ['expired', 'epoch', 'ahead', 'unreadable'] as const;
export type GapReason = (typeof GAP_REASONS)[number];

/** Events are missing: those after `requested`, up to `resumed_from`. */
export interface Gap {
  reason: GapReason;
  /** The position that was asked for; with `unreadable`, the one before the first event that has no present form. */
  requested: string;
  /** Events after this position follow. */
  resumed_from: string;
}

/** A subscription has caught up. */
export interface Live {
  /** Everything up to here has been given. */
  position: string;
  /** How many events were given from the log. */
  replayed: number;
}

/** The state of a thing, as whoever watches it gets it. */
export interface StateItem<TEntity extends string, TChannel extends string, TState> {
  /** The position of its last change. */
  id: string;
  channel: TChannel;
  entity: TEntity;
  /** Names the thing among those of its channel and entity: the fields of its key, joined by `/`. */
  key: string;
  /** Whether it goes on, as the contract says it. */
  open: boolean;
  /** Null once it is gone, or is not among what was asked for any more. */
  state: TState | null;
  type?: undefined;
}

/** The state that was asked for has been given; changes follow. */
export interface StateReady {
  /** It is the state after all events up to here. */
  position: string;
  /** How many items were given before. */
  items: number;
}

/**
 * Why what a client has of the state is of no use: the position is of another log, or lies beyond its end or too far back, the state was
 * made anew, or the client had not been given all of it.
 */
export const STATE_RESET_REASONS = ['epoch', 'ahead', 'expired', 'rebuilt', 'unfinished'] as const;
export type StateResetReason = (typeof STATE_RESET_REASONS)[number];

/** The state is given from its beginning: what was had before is to be dropped. */
export interface StateReset {
  reason: StateResetReason;
  /** The position that was asked for. */
  requested: string;
}

export type StateReadyNotice = Envelope<'state.ready', typeof NOTICE_CHANNEL, StateReady>;
export type StateResetNotice = Envelope<'state.reset', typeof NOTICE_CHANNEL, StateReset>;
/** What Courier itself sends to who watches a state. */
export type StateNotice = StateReadyNotice | StateResetNotice;

export type GapNotice = Envelope<'courier.gap', typeof NOTICE_CHANNEL, Gap>;
export type LiveNotice = Envelope<'courier.live', typeof NOTICE_CHANNEL, Live>;
/** What Courier itself sends to a subscriber. */
export type Notice = GapNotice | LiveNotice;

/** What each notice says, for people. */
export const NOTICE_DESCRIPTIONS: Readonly<Record<string, string>> = {
  'courier.gap': 'Events are missing: those after the position that was asked for, up to the one that it goes on from.',
  'courier.live': 'Everything that was published before has been given; from here on events arrive as they happen.',
};
