/**
 * Declares a contract: the families of channels, and the services with their event types. Everything else follows from the value:
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
import type { ContractDefinition, EarlierVersion, ServiceDefinition } from './definition.ts';

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

type Definitions<S> = { [N in keyof S]: S[N] extends { readonly events: infer E } ? E : never }[keyof S];
type TypesIn<E> = E extends unknown ? keyof E : never;
type DefinitionOf<E, T> = E extends unknown ? (T extends keyof E ? E[T] : never) : never;
type DataSchema<E, T> = DefinitionOf<E, T> extends { readonly data: infer D extends z.ZodType } ? D : never;
type On<E, T> = DefinitionOf<E, T> extends { readonly on: readonly (infer F)[] } ? F : never;

/** The types of a contract with families `F` and services `S`. */
export interface TypesOf<F, S> extends ContractTypes {
  readonly data: { [T in TypesIn<Definitions<S>>]: z.output<DataSchema<Definitions<S>, T>> };
  readonly input: { [T in TypesIn<Definitions<S>>]: z.input<DataSchema<Definitions<S>, T>> };
  readonly families: {
    [K in keyof F | CommonFamily]: K extends CommonFamily
      ? TypesIn<Definitions<S>>
      : { [T in TypesIn<Definitions<S>>]: K extends On<Definitions<S>, T> ? T : never }[TypesIn<Definitions<S>>];
  };
  readonly services: { [N in keyof S]: S[N] extends { readonly events: infer E } ? keyof E : never };
  readonly ids: { [K in keyof F]: F[K] extends { readonly id: infer I } ? I : never } & { user: 'user_id' };
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
>(definition: { readonly name: string; readonly families: F; readonly services: S }): Contract<TypesOf<F, S>> {
  const whole = definition as unknown as ContractDefinition;
  const problems = problemsOf(whole);
  if (problems.length > 0) throw new ContractError(problems.join('\n'));
  return new Contract<TypesOf<F, S>>(whole);
}
