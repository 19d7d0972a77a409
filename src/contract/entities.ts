/**
 * Entities: what the events of a channel make of a thing. The state of an entity is the fold of the channel's events of its types, so it
 * belongs to a channel and a key: equal events give equal states, wherever they are folded.
 */
import type { z } from 'zod';
import { familyIn, idIn } from './channels.ts';
import type { EarlierVersion, EntityDefinition } from './definition.ts';
import { findFault } from './json.ts';

/** An event as reducers get it: as it stands in plain JSON. */
export interface FoldedEvent<TType extends string = string, TData = unknown> {
  /** The event's position. */
  readonly id: string;
  readonly channel: string;
  readonly type: TType;
  /** With the timestamp as ISO 8601 text in UTC. */
  readonly metadata: {
    readonly timestamp: string;
    readonly source: string;
    readonly correlation_id?: string;
    readonly causation_id?: string;
    readonly user_id?: string;
  };
  readonly data: TData;
}

/** UTF-16 units of an entity's key, at most: an event with a longer one changes nothing, which the gateway tells. */
export const MAX_KEY_UNITS = 512;

/** Bytes of a state as JSON in UTF-8, at most: more than the data of an event has, of which a state may keep that of several. */
export const MAX_STATE_BYTES = 256 * 1024;

/** What an event makes of a state. */
export type Folded =
  /** `state` is undefined where the entity is gone, or has never been. */
  | { readonly state: object | undefined; readonly problem?: undefined }
  /** The reducer failed: the event changes nothing. Nothing of the data stands in the sentence. */
  | { readonly state?: undefined; readonly problem: string };

/** An entity of a contract. */
export class Entity {
  readonly name: string;
  readonly description: string;
  readonly version: number;
  readonly key: readonly string[];
  readonly types: readonly string[];
  /** The families whose channels have it. */
  readonly families: readonly string[];
  readonly schema: z.ZodObject;
  /** By version: how the last state of an earlier one becomes a state of this one. */
  readonly earlier: ReadonlyMap<number, EarlierVersion>;
  readonly #definition: EntityDefinition;
  readonly #idFields: ReadonlyMap<string, string>;

  /** @param idFields by family: the field that is its id. */
  constructor(name: string, definition: EntityDefinition, families: readonly string[], idFields: ReadonlyMap<string, string>) {
    const { description, version = 1, key, types, state, migrate = {} } = definition;
    this.name = name;
    this.description = description;
    this.version = version;
    this.key = key;
    this.types = types;
    this.families = families;
    this.schema = state;
    this.earlier = new Map(Object.entries(migrate).map(([earlier, made]) => [Number(earlier), made]));
    this.#definition = definition;
    this.#idFields = idFields;
  }

  /**
   * The key of what an event is about: the text of its fields, joined by `/`. A field is of the event's data, or the id of its channel
   * where the data has it not. Undefined where there is no such thing.
   */
  keyOf(event: Pick<FoldedEvent, 'channel' | 'data'>): string | undefined {
    return entityKey(this.key, this.#idFields.get(familyIn(event.channel) ?? ''), event);
  }

  /** What an event of its types, with its key, makes of a state. */
  fold(state: object | undefined, event: FoldedEvent): Folded {
    try {
      const made: unknown = this.#definition.reduce(state as never, event as never);
      return made === undefined || made === state ? { state: made as object | undefined } : this.#checked(made);
    } catch (error) {
      return { problem: `its reducer failed with ${error instanceof Error ? error.name : typeof error}` };
    }
  }

  /** Whether the entity goes on: what is not open is forgotten some time after its last change. */
  isOpen(state: object): boolean {
    try {
      return this.#definition.open(state as never) === true;
    } catch {
      // Kept: what cannot be told apart is not to be lost.
      return true;
    }
  }

  /** Makes a state of this version of one of an earlier version. */
  migrate(version: number, state: unknown): Folded {
    const earlier = this.earlier.get(version);
    if (earlier === undefined) return { problem: `the contract has no way from its version ${version}` };
    try {
      const old = earlier.data.safeParse(state);
      if (!old.success) return { problem: `it is not of the form that the contract says version ${version} had` };
      return this.#checked(earlier.toPresent(old.data as never));
    } catch (error) {
      return { problem: `its migration failed with ${error instanceof Error ? error.name : typeof error}` };
    }
  }

  #checked(made: unknown): Folded {
    if (made instanceof Promise) {
      // What becomes of it is nobody's.
      made.catch(() => undefined);
      return { problem: 'it makes a promise' };
    }
    const fault = findFault(made, undefined, MAX_STATE_BYTES);
    if (fault !== undefined) return { problem: `it makes ${['state', ...fault.path].join('.')}, which ${fault.message}` };
    const { data, error } = this.schema.safeParse(made);
    const [issue] = error?.issues ?? [];
    if (issue === undefined) return { state: data as object };
    return { problem: `it makes what the state's schema refuses (${['state', ...issue.path.map(String)].join('.')}: ${issue.code})` };
  }
}

/**
 * The key of what an event is about, as `Entity.keyOf` says it.
 *
 * @param fields of the key. @param idField the field that is the id of the event's channel; undefined where it has none.
 */
export function entityKey(
  fields: readonly string[],
  idField: string | undefined,
  { channel, data }: Pick<FoldedEvent, 'channel' | 'data'>,
): string | undefined {
  const given = data as Readonly<Record<string, unknown>>;
  let key: string | undefined;
  for (const field of fields) {
    const value = given[field] ?? (field === idField ? idIn(channel) : undefined);
    if (typeof value !== 'string') return undefined;
    key = key === undefined ? keyPart(value) : `${key}/${keyPart(value)}`;
  }
  return key;
}

/** What separates parts or escapes, and controls, which not every storage takes. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
const ESCAPED = /[%/\u0000-\u001f\u007f]/g;

/** A field as it stands in a key: the same text for equal values only. */
export function keyPart(value: string): string {
  return value.replace(ESCAPED, (unit) => `%${unit.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
