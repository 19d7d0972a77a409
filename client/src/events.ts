/**
 * The types of events, by type and by channel: what a caller can publish, and what a subscription receives. They are those of the
 * package's own contract unless another is named.
 */
import type { ChannelIn } from '../../src/contract/channels.ts';
import type { DraftMetadata, EventMetadata, Gap, GapNotice, LiveNotice, Notice } from '../../src/contract/envelope.ts';
import type * as of from '../../src/contract/types.ts';
import type { HistoryPage } from '../../src/contract/types.ts';
import type { Contract } from './contract.ts';

export type { DraftMetadata, EventMetadata, Gap, GapNotice, HistoryPage, LiveNotice, Notice };

/** A contract of any gateway: `typeof contract`, or what `courier contract export --format typescript` wrote. */
export type AnyContract = of.TypedContract;
/** The event types of a contract. */
export type TypeIn<C extends AnyContract> = of.EventType<C>;
/** The families of a contract. */
export type FamilyOf<C extends AnyContract> = of.Family<C>;

/** The entities of a contract, whose state its gateway keeps. */
export type EntityIn<C extends AnyContract = Contract> = of.EntityName<C>;
/** The state of an entity. */
export type EntityState<E extends string, C extends AnyContract = Contract> = of.State<C, E>;

/** The data of a type. */
export type EventData<T extends string, C extends AnyContract = Contract> = of.EventData<C, T>;
/** What is every `O[K]` at once. */
type Every<O, K extends keyof O> = { [P in K]: (value: O[P]) => void }[K] extends (value: infer V) => void ? V : never;
/** The data of a type as publishers hand it in. Where the type may be one of several, it must do for each of them. */
export type EventInput<T extends string, C extends AnyContract = Contract> = Every<{ [K in T]: of.EventInput<C, K> }, T>;
/**
 * The channels that may carry a type; where it may be one of several, each of them. For a type that does not exist, the compiler tries
 * all, and must find the mistake in the type.
 */
export type ChannelOf<T extends string, C extends AnyContract = Contract> = [TypeIn<C>] extends [T]
  ? of.ChannelOf<C, T>
  : Every<{ [K in T]: of.ChannelOf<C, K> }, T>;
/** An event; a union over all types when no type is named. */
export type CourierEvent<T extends string = TypeIn<Contract>, C extends AnyContract = Contract> = of.CourierEvent<C, T>;
/** The events that a channel, or the channels that a pattern matches, can carry. */
export type EventOn<P extends string, C extends AnyContract = Contract> = of.EventOn<C, P>;
/** What a caller hands in to publish an event. */
export type EventDraft<T extends string = TypeIn<Contract>, C extends AnyContract = Contract> = of.EventDraft<C, T>;
/** The answer to a publish: the event is stored. */
export type Receipt<T extends string = TypeIn<Contract>> = of.Receipt<T>;

/** What came of one of several publishes in a call. */
export type PublishOutcome<T extends string = TypeIn<Contract>> = of.PublishOutcome<T>;

/** Channel names and patterns. For one that can match no channel the compiler says which forms there are. */
export type Channels<P extends string, C extends AnyContract> = P extends P
  ? [of.Matching<C, P>] extends [never]
    ? ChannelIn<of.Family<C>>
    : P
  : never;
