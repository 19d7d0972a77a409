/**
 * Declares a contract: the families of channels, the services with their event types, and the entities whose state the gateway keeps.
 * Everything else follows from the value:
 * the router, rights, the types of clients, documents, samples.
 *
 * ```ts
 * export const weather = defineService({
 *   events: {
 *     'station.measured': {
 *       on: ['station'],
 *       description: 'A station has measured the temperature.',
 *       data: z.strictObject({ station_id: id, celsius: z.number() }),
 *       examples: [{ station_id: 'oslo-1', celsius: -3.5 }],
 *     },
 *   },
 * });
 * export default defineContract({ name: 'weather', families: { station: { id: 'station_id' } }, services: { weather } });
 * ```
 */
import type { z } from 'zod';
import type { CommonFamily } from './channels.ts';
import { Contract } from './contract.ts';
import type { ContractDefinition, EarlierVersion, EntityDefinition, ServiceDefinition } from './definition.ts';
import type { FoldedEvent } from './entities.ts';

export { earlierVersion } from './definition.ts';

import { problemsOf } from './definition-problems.ts';
import type { ContractTypes } from './types.ts';

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

type FieldsOf<T> = T extends unknown ? keyof T : never;

/** What an upcast must make: data of the present form, without fields that it has not. */
type CheckedUpcasts<E, Data> = E extends { readonly upcast: infer U }
  ? {
      readonly [V in keyof U]: U[V] extends EarlierVersion<infer Made>
        ? Exclude<FieldsOf<Made>, keyof Data> extends infer Strange extends PropertyKey
          ? [Strange] extends [never]
            ? EarlierVersion<Data>
            : EarlierVersion<Data & { readonly [K in Strange]?: never }>
          : never
        : EarlierVersion<Data>;
    }
  : undefined;

/** What the compiler checks of each event against its schema. */
type CheckedEvents<E> = {
  readonly [T in keyof E]: E[T] extends { readonly data: infer D extends z.ZodType }
    ? {
        readonly examples: readonly DeepReadonly<z.input<D>>[];
        readonly subject?: keyof z.output<D>;
        readonly upcast?: CheckedUpcasts<E[T], DeepReadonly<z.input<D>>>;
      }
    : never;
};

/** Declares the events of a service. The compiler checks the examples and upcasts against the schemas. */
export function defineService<const E extends ServiceDefinition['events']>(service: {
  readonly description?: string;
  readonly events: E & CheckedEvents<E>;
}): { readonly description?: string; readonly events: E } {
  return service;
}

type EventsOf<S> = S extends readonly { readonly events: infer E }[] ? E : never;
type DataOf<E, T> = E extends unknown
  ? T extends keyof E
    ? E[T] extends { readonly data: infer D extends z.ZodType }
      ? z.output<D>
      : never
    : never
  : never;
/** The events of some types, as reducers get them. */
type FoldedEvents<E, T> = T extends string ? FoldedEvent<T, DeepReadonly<DataOf<E, T>>> : never;

/** A state of a schema, which nobody changes. */
export type StateOf<Z extends z.ZodObject> = DeepReadonly<z.output<Z>>;

/**
 * Declares an entity. The compiler checks the reducer against the state's schema and the data of the events.
 *
 * ```ts
 * export const reading = defineEntity({
 *   description: 'The last temperature that a station has measured.',
 *   of: [weather],
 *   types: ['station.measured'],
 *   key: ['station_id'],
 *   state: z.strictObject({ celsius: z.number() }),
 *   reduce: (_state, { data }) => ({ celsius: data.celsius }),
 *   open: () => true,
 * });
 * ```
 */
export function defineEntity<
  const S extends readonly { readonly events: ServiceDefinition['events'] }[],
  const T extends TypesIn<EventsOf<S>> & string,
  const Z extends z.ZodObject,
>(entity: {
  readonly description: string;
  /** The services that publish the types. */
  readonly of: S;
  readonly types: readonly [T, ...T[]];
  readonly key: EntityDefinition['key'];
  readonly on?: readonly string[];
  readonly state: Z;
  readonly version?: number;
  readonly reduce: (state: StateOf<Z> | undefined, event: FoldedEvents<EventsOf<S>, T>) => StateOf<Z> | undefined;
  readonly open: (state: StateOf<Z>) => boolean;
  readonly migrate?: Readonly<Record<number, EarlierVersion<StateOf<Z>>>>;
}): EntityOf<Z> {
  const { of: _, ...definition } = entity;
  return definition as unknown as EntityOf<Z>;
}

/** With its own schema only: beside any other, fields that the state has not would be of no known type, in place of none. */
type EntityOf<Z extends z.ZodObject> = Omit<EntityDefinition, 'state'> & { readonly state: Z };

type Definitions<S> = { [N in keyof S]: S[N] extends { readonly events: infer E } ? E : never }[keyof S];
type TypesIn<E> = E extends unknown ? keyof E : never;
type DefinitionOf<E, T> = E extends unknown ? (T extends keyof E ? E[T] : never) : never;
type DataSchema<E, T> = DefinitionOf<E, T> extends { readonly data: infer D extends z.ZodType } ? D : never;
type On<E, T> = DefinitionOf<E, T> extends { readonly on: readonly (infer F)[] } ? F : never;

/** The types of a contract with families `F`, services `S` and entities `N`. */
export interface TypesOf<F, S, N = object> extends ContractTypes {
  readonly data: { [T in TypesIn<Definitions<S>>]: z.output<DataSchema<Definitions<S>, T>> };
  readonly input: { [T in TypesIn<Definitions<S>>]: z.input<DataSchema<Definitions<S>, T>> };
  readonly families: {
    [K in keyof F | CommonFamily]: K extends CommonFamily
      ? TypesIn<Definitions<S>>
      : { [T in TypesIn<Definitions<S>>]: K extends On<Definitions<S>, T> ? T : never }[TypesIn<Definitions<S>>];
  };
  readonly services: { [N in keyof S]: S[N] extends { readonly events: infer E } ? keyof E : never };
  readonly ids: { [K in keyof F]: F[K] extends { readonly id: infer I } ? I : never } & { user: 'user_id' };
  readonly states: { [K in keyof N]: N[K] extends { readonly state: infer Z extends z.ZodType } ? z.output<Z> : never };
}

/** Says all that is wrong with a definition, one line each. */
export class ContractError extends Error {
  override readonly name = 'ContractError';
}

/** Declares a contract. @throws {ContractError} naming everything that is wrong with it. */
export function defineContract<
  const F extends ContractDefinition['families'],
  const S extends Readonly<
    Record<string, { readonly events: Readonly<Record<string, { readonly on: readonly (keyof F | CommonFamily)[] }>> }>
  >,
  const N extends Readonly<Record<string, EntityDefinition>> = Readonly<Record<never, never>>,
>(definition: { readonly name: string; readonly families: F; readonly services: S; readonly entities?: N }): Contract<TypesOf<F, S, N>> {
  const whole = definition as unknown as ContractDefinition;
  const problems = problemsOf(whole);
  if (problems.length > 0) throw new ContractError(problems.join('\n'));
  return new Contract<TypesOf<F, S, N>>(whole);
}
