/** Which states a caller asks for: its options and their types, and what goes to the gateway. */
import type { Channel } from '../../src/contract/types.ts';
import type { Contract } from './contract.ts';
import { invalidArgument } from './errors.ts';
import type { AnyContract, EntityState } from './events.ts';
import { channelNames } from './filter.ts';
import { assertArgument, assertOptions, isText, READ_STATE_CHECKS, STATE_CHECKS } from './option-checks.ts';
import type { CallOptions } from './options.ts';

type Scalar = string | number | boolean;

/** The fields of a state that are a text, a number or a boolean where they are there. */
type ScalarField<S> = {
  [F in keyof S & string]: [NonNullable<S[F]>] extends [never] ? never : NonNullable<S[F]> extends Scalar ? F : never;
}[keyof S & string];

/** By field of the state, such as `state.symbol`: the value that it has, or one of several. */
export type StateWhere<E extends string, C extends AnyContract = Contract> = {
  readonly [F in ScalarField<EntityState<E, C>> as `state.${F}`]?:
    | NonNullable<EntityState<E, C>[F]>
    | readonly NonNullable<EntityState<E, C>[F]>[]
    | undefined;
};

/** Which things are asked for; all that the channels have by default. */
export interface StateConditions<E extends string, C extends AnyContract = Contract> {
  /** Only the things with these keys: the fields of the entity's key, joined by `/`. */
  readonly keys?: readonly string[] | undefined;
  /** Only what goes on (true), or only what does not (false). */
  readonly open?: boolean | undefined;
  /** Only where fields of the state have such values: `{ 'state.symbol': ['SPX', 'NDX'] }`. */
  readonly where?: StateWhere<E, C> | undefined;
}

export interface StateOptions<E extends string, C extends AnyContract = Contract> extends StateConditions<E, C> {
  /** How often a change of one thing is told in a second, at most, 0.1 to 100: then the latest. As it comes when absent. */
  readonly maxPerSecond?: number | undefined;
  /** Ends the watch without an error. */
  readonly signal?: AbortSignal | undefined;
  /** When the gateway refuses the client: end with its error (the default), or wait for `connect()` or `setToken()`, and resume. */
  readonly whenRefused?: 'end' | 'wait' | undefined;
}

/** `timeoutMs` is for each page. */
export interface ReadStateOptions<E extends string, C extends AnyContract = Contract> extends StateConditions<E, C>, CallOptions {}

/** The present state of a thing. */
export type StateEntry<E extends string, C extends AnyContract = Contract> = {
  [K in E]: {
    /** The position of its last change. */
    readonly id: string;
    readonly channel: Channel<C>;
    readonly entity: K;
    /** The fields of the entity's key, joined by `/`. */
    readonly key: string;
    /** Whether it goes on, as the contract says it. */
    readonly open: boolean;
    readonly state: EntityState<K, C>;
  };
}[E];

/** What the gateway is asked for, in an order of its own: equal selections have the same JSON. */
export interface Selection {
  readonly channels: string[];
  readonly entities: [entity: string];
  readonly keys?: string[] | undefined;
  readonly open?: boolean | undefined;
  readonly where?: Record<string, Scalar[]> | undefined;
  readonly max_per_second?: number | undefined;
}

/** Options of whatever entity. */
export interface AnyConditions {
  readonly keys?: readonly string[] | undefined;
  readonly open?: boolean | undefined;
  readonly where?: Readonly<Record<string, Scalar | readonly Scalar[] | undefined>> | undefined;
  readonly maxPerSecond?: number | undefined;
}

/** @throws {CourierError} INVALID_ARGUMENT, naming what is wrong. */
export function watchSelection(channels: string | readonly string[], entity: string, options: object): Selection {
  assertOptions(options, STATE_CHECKS);
  return selectionOf(channels, entity, options);
}

/** @throws {CourierError} INVALID_ARGUMENT, naming what is wrong. */
export function readSelection(channels: string | readonly string[], entity: string, options: object): Selection {
  assertOptions(options, READ_STATE_CHECKS);
  return selectionOf(channels, entity, options);
}

function selectionOf(channels: string | readonly string[], entity: string, options: AnyConditions): Selection {
  const names = channelNames(channels);
  if (names.length === 0) throw invalidArgument('channels', 'must be a channel, or a list of one or more, and is empty');
  assertArgument('entity', entity, isText);
  const { keys, open, where = {}, maxPerSecond } = options;
  const fields = Object.entries(where).flatMap(([field, values]) =>
    values === undefined ? [] : [[field, sorted([values].flat())] as const],
  );
  return {
    channels: sorted(names),
    entities: [entity],
    ...(keys !== undefined && { keys: sorted(keys) }),
    ...(open !== undefined && { open }),
    ...(fields.length > 0 && { where: Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1))) }),
    ...(maxPerSecond !== undefined && { max_per_second: maxPerSecond }),
  };
}

function sorted<T extends Scalar>(values: readonly T[]): T[] {
  return [...new Set(values)].sort();
}
