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

export interface ContractDefinition {
  /** Names the contract, such as `weather`. */
  readonly name: string;
  /** Beside `global` and `user`, which are always there. */
  readonly families: Readonly<Record<string, FamilyDefinition>>;
  /** The name of a service is the `sub` of its tokens. */
  readonly services: Readonly<Record<string, ServiceDefinition>>;
}

/** An earlier form of a type's data. */
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
