/**
 * What types follow from a contract: the events that a channel carries, what a publisher may hand in. A contract that is declared
 * with `defineContract` and one that `courier contract export --format typescript` wrote have the same types. Clients import this
 * file, so it imports types only.
 */
import type { ChannelIn, FamilyMatching } from './channels.ts';
import type { ErrorCode } from './codes.ts';
import type { Draft, Envelope, Gap, Notice, StateItem, StateReset } from './envelope.ts';

/** What the types of a contract are made of. */
export interface ContractTypes {
  /** The data of each event type, as subscribers get it. */
  readonly data: object;
  /** The data of each event type, as publishers hand it in. */
  readonly input: object;
  /** The event types that the channels of each family carry. */
  readonly families: object;
  /** The event types that each service publishes, and no other. */
  readonly services: object;
  /** The field that is the id of each family. */
  readonly ids: object;
  /** The state of each entity. What was exported before there were any has none. */
  readonly states?: object;
}

/** Anything that has the types of a contract. */
export interface TypedContract<T extends ContractTypes = ContractTypes> {
  /** Exists for the compiler only. */
  readonly '~types': T;
}

type Types<C extends TypedContract> = C['~types'];
type At<O, K> = K extends keyof O ? O[K] : never;

/** Every event type that can be published. */
export type EventType<C extends TypedContract> = keyof Types<C>['data'] & string;
/** The channel families. */
export type Family<C extends TypedContract> = keyof Types<C>['families'] & string;
/** The services. */
export type Service<C extends TypedContract> = keyof Types<C>['services'] & string;
/** The event types of a service. */
export type EventTypeOf<C extends TypedContract, S extends string> = S extends S ? At<Types<C>['services'], S> & EventType<C> : never;
/** The event types that channels of a family can carry. */
export type EventTypeOn<C extends TypedContract, F extends string> = F extends F ? At<Types<C>['families'], F> & EventType<C> : never;
/** The families whose channels may carry a type. */
export type FamilyOf<C extends TypedContract, T extends string> = T extends T
  ? { [F in Family<C>]: T extends At<Types<C>['families'], F> ? F : never }[Family<C>]
  : never;
/** The channels that may carry a type. */
export type ChannelOf<C extends TypedContract, T extends string> = ChannelIn<FamilyOf<C, T>>;
/** Any channel's name. */
export type Channel<C extends TypedContract> = ChannelIn<Family<C>>;
/** The field that is the id of a family: `user_id`. */
export type IdField<C extends TypedContract, F extends string> = At<Types<C>['ids'], F> & string;

/** The data of a type. */
export type EventData<C extends TypedContract, T extends string> = At<Types<C>['data'], T>;
/** The data of a type as publishers hand it in. */
export type EventInput<C extends TypedContract, T extends string> = At<Types<C>['input'], T>;
/** An event as subscribers receive it; a union over all types when no type is named. */
export type CourierEvent<C extends TypedContract, T extends string = EventType<C>> = {
  [K in T]: Envelope<K, ChannelOf<C, K>, EventData<C, K>>;
}[T];

/** The families that a channel, or a pattern, can match. */
export type Matching<C extends TypedContract, P extends string> = FamilyMatching<P, Family<C>>;
/** The events that a channel, or the channels that a pattern matches, can carry. */
export type EventOn<C extends TypedContract, P extends string> = {
  [T in EventTypeOn<C, Matching<C, P>>]: Envelope<T, ChannelIn<FamilyOf<C, T> & Matching<C, P>>, EventData<C, T>>;
}[EventTypeOn<C, Matching<C, P>>];
/** What a subscription to `P` receives: events and Courier's notices. */
export type Received<C extends TypedContract, P extends string> = EventOn<C, P> | Notice;

/** The entities whose state the gateway keeps. */
export type EntityName<C extends TypedContract> = keyof NonNullable<Types<C>['states']> & string;
/** The state of an entity. */
export type State<C extends TypedContract, E extends string> = At<NonNullable<Types<C>['states']>, E>;
/** The present state of a thing as subscribers receive it; a union over all entities when none is named. */
export type StateItemOf<C extends TypedContract, E extends string = EntityName<C>> = {
  [K in E]: StateItem<K, Channel<C>, State<C, K>>;
}[E];

/** One thing that is wrong with an input. */
export interface Issue {
  /** Where, from the input's root: `data.progress`; empty for the input as a whole. */
  readonly path: string;
  readonly message: string;
}

/** What a publisher hands in to publish an event. */
export type EventDraft<C extends TypedContract, T extends string = EventType<C>> = {
  [K in T]: Draft<K, ChannelOf<C, K>, EventInput<C, K>>;
}[T];

/** The answer to a publish: the event is stored. */
export interface Receipt<T extends string = string> {
  /** The event's position. */
  id: string;
  channel: string;
  type: T;
  timestamp: Date;
  /** True when the idempotency key was known: the receipt is of the event that was stored first. */
  duplicate: boolean;
}

/** Why an event was refused, as the error of its own publish would say it. */
export interface Refusal {
  code: ErrorCode;
  message: string;
  issues?: readonly Issue[];
  retryAfterMs?: number;
  channel?: string;
  /** Names the call in the gateway's log. */
  requestId?: string;
}

/** What came of one of several publishes: it is stored, or was refused. */
export type PublishOutcome<T extends string = string> = Receipt<T> | { error: Refusal };

/** One page of stored events, in the order of the request. */
export interface HistoryPage<TEvent> {
  events: TEvent[];
  /**
   * Where the next page starts: hand it in as `after`, or as `before` where the newest come first. With the oldest first it
   * is, at the end of the log, the position to go on from later.
   */
  next: string;
  /** Whether there may be more beyond `next` now. */
  has_more: boolean;
  /**
   * Set when the page does not start at the requested position, with the reason; as in a `courier.gap` notice. Newest first,
   * what is past retention is no gap: the history ends there.
   */
  gap: Gap | null;
}

/** One event of a piece of work. */
export interface TraceStep<TEvent> {
  event: TEvent;
  /** When it was stored, by the clock of the log; null where that was not noted. */
  stored_at: Date | null;
  /** How long after its cause it was stored, in ms; null where it has none, or that is not known any more. */
  after_cause_ms: number | null;
}

/** One page of a piece of work: what belongs to it, what that has caused, and what led to it. */
export interface TracePage<TEvent> {
  correlation_id: string;
  /** In the order of the log. The cause of each is its event's `metadata.causation_id`. */
  steps: TraceStep<TEvent>[];
  /** Events of all pages that the caller may not read, or that have no present form. */
  hidden: number;
  /** Hand it in as `after` to go on. */
  next: string;
  has_more: boolean;
  /** There is more than is read of one piece of work: 10,000 events, or 8 MiB. */
  is_partial: boolean;
}

/** One page of the present states of entities. */
export interface StatePage<TItem> {
  /** In the order of their last changes. */
  items: TItem[];
  /**
   * Where the next page starts: hand it in as `after`. The pages together, a later item in place of an earlier one with the same
   * channel, entity and key, are the state at the `position` of the last page. Once `has_more` is false it is that position.
   */
  next: string;
  /** Whether there are more items. */
  has_more: boolean;
  /** The state is that after all events up to here. */
  position: string;
  /** Set when the items are a new beginning, though `after` was given: what was had before is to be dropped. */
  reset: StateReset | null;
}
