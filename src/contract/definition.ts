/** What a contract is declared with. */
import type { z } from 'zod';

/** A family of channels: `station` has the channels `station.{id}`. */
export interface FamilyDefinition {
  /** The field of an event's data that is the id in the channel's name. Where the data has the field, both must be equal. */
  readonly id: string;
  /** What has a channel of the family, for people: `A station`. */
  readonly title?: string;
}

export interface EventDefinition {
  /** The families whose channels carry the type, the one that is its home first. `global` and `user` carry every type. */
  readonly on: readonly string[];
  /** What the event says, for people. */
  readonly description: string;
  /** A strict object. */
  readonly data: z.ZodObject;
  /** Data as publishers hand it in. The first stands in documents, forms and tests. */
  readonly examples: readonly [object, ...object[]];
  /** The field of the data that names what the event is about; the id of its home when absent. */
  readonly subject?: string;
  /** The version of the data's form; 1 when absent. It counts the breaking changes. */
  readonly version?: number;
  /** By earlier version: how its data becomes the present one. */
  readonly upcast?: Readonly<Record<number, EarlierVersion>>;
}

export interface ServiceDefinition {
  /** What the service does, for people. */
  readonly description?: string;
  /** The types that only this service publishes. */
  readonly events: Readonly<Record<string, EventDefinition>>;
}

/** A thing that events change, such as an order: its state is the fold of a channel's events. */
export interface EntityDefinition {
  /** What it is, for people. */
  readonly description: string;
  /**
   * The fields that name one of them, texts, in this order: of the event's data, or the id of its channel where the data has it not.
   * An event that has one of them nowhere changes nothing.
   */
  readonly key: readonly [string, ...string[]];
  /** The types that change it. */
  readonly types: readonly [string, ...string[]];
  /** The families whose channels have it, beside `global` and `user`; all that carry one of the types when absent. */
  readonly on?: readonly string[];
  /** A strict object. */
  readonly state: z.ZodObject;
  /** Of the state's form and of what `reduce` makes; 1 when absent. State of another version is made anew of the log. */
  readonly version?: number;
  /**
   * The state after an event: `state` itself where the event changes nothing, undefined where the entity is gone. It changes none of
   * its arguments, looks at nothing else, not at the clock either, and does not throw.
   */
  reduce(state: never, event: never): object | undefined;
  /** Whether the entity goes on. What is not open is forgotten after COURIER_STATE_DAYS. As pure as `reduce`. */
  open(state: never): boolean;
  /** By earlier version: how its last state becomes a present one, where the log does not go back to the entity's first event. */
  readonly migrate?: Readonly<Record<number, EarlierVersion>>;
}

export interface ContractDefinition {
  /** Names the contract, such as `weather`. */
  readonly name: string;
  /** Beside `global` and `user`, which are always there. */
  readonly families: Readonly<Record<string, FamilyDefinition>>;
  /** The name of a service is the `sub` of its tokens. */
  readonly services: Readonly<Record<string, ServiceDefinition>>;
  /** By name: what the gateway keeps the state of. */
  readonly entities?: Readonly<Record<string, EntityDefinition>>;
}

/** An earlier form of a type's data, or of an entity's state. */
export interface EarlierVersion<TPresent = unknown> {
  readonly data: z.ZodType;
  readonly toPresent: (old: never) => TPresent;
}

/**
 * Declares an earlier form of a type's data.
 *
 * @param data the schema that the version had.
 * @param toPresent makes data of the present version. Data for which it throws, or that the present schema refuses, cannot be read
 * any more: subscribers get a `courier.gap` in its place.
 */
export function earlierVersion<S extends z.ZodType, R extends object>(data: S, toPresent: (old: z.output<S>) => R): EarlierVersion<R> {
  return { data, toPresent };
}
