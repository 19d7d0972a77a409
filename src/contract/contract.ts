/** A contract as the gateway uses it: what exists, and what may go where. `defineContract` makes it. */
import type { z } from 'zod';
import { Channels, COMMON_FAMILIES, type CommonFamily, USER_ID } from './channels.ts';
import type { ContractDefinition, EarlierVersion, EntityDefinition, EventDefinition, FamilyDefinition } from './definition.ts';
import { type CheckedDraft, draftUnion, listWithPlainData, strayId, withPlainData } from './draft.ts';
import { Entity } from './entities.ts';
import type { Draft } from './envelope.ts';
import { typeListOf } from './fields.ts';
import type { ContractTypes, TypedContract } from './types.ts';

/** A family of channels. `global` has no id. */
export interface FamilyInfo {
  readonly id: string | undefined;
  readonly title: string | undefined;
}

/** An event type. */
export interface EventTypeInfo {
  readonly type: string;
  readonly service: string;
  /** The families whose channels carry it, its home first. */
  readonly families: readonly string[];
  readonly description: string;
  readonly data: z.ZodObject;
  readonly examples: readonly [object, ...object[]];
  /** The field of the data that names what the event is about. */
  readonly subject: string | undefined;
  readonly version: number;
  readonly earlier: ReadonlyMap<number, EarlierVersion>;
}

/** The schema of what publishers hand in, one draft or a list. */
export type DraftSchema<T> = z.ZodType<T, unknown>;

const COMMON: Readonly<Record<CommonFamily, FamilyInfo>> = {
  global: { id: undefined, title: 'Everybody' },
  user: { id: USER_ID, title: 'A user' },
};

export class Contract<T extends ContractTypes = ContractTypes> implements TypedContract<T> {
  declare readonly '~types': T;
  readonly name: string;
  readonly channels: Channels;
  readonly families: ReadonlyMap<string, FamilyInfo>;
  /** The services, each with its types. */
  readonly services: ReadonlyMap<string, readonly string[]>;
  /** In the order of the services. */
  readonly types: ReadonlyMap<string, EventTypeInfo>;
  /** What the gateway keeps the state of. */
  readonly entities: ReadonlyMap<string, Entity>;
  /** A list of some of the types. */
  readonly typeList: z.ZodType<string[]>;
  /** A draft of any type. */
  readonly draft: DraftSchema<CheckedDraft>;
  /** A list of such drafts. */
  readonly draftList: DraftSchema<CheckedDraft[]>;
  /** By family: the field that is its id. */
  readonly #idFields: ReadonlyMap<string, string>;

  /** @param definition one that is right: `defineContract` checks it. */
  constructor({ name, families, services, entities = {} }: ContractDefinition) {
    this.name = name;
    this.families = new Map([
      ...COMMON_FAMILIES.map((family) => [family, COMMON[family]] as const),
      ...Object.entries(families).map(([family, { id, title }]: [string, FamilyDefinition]) => [family, { id, title }] as const),
    ]);
    this.channels = new Channels([...this.families.keys()]);
    this.#idFields = new Map([...this.families].flatMap(([family, { id }]) => (id === undefined ? [] : [[family, id] as const])));
    this.services = new Map(Object.entries(services).map(([service, { events }]) => [service, Object.keys(events)]));
    const types = Object.entries(services).flatMap(([service, { events }]) =>
      Object.entries(events).map(([type, event]) => this.#infoOf(service, type, event)),
    );
    this.types = new Map(types.map((info) => [info.type, info]));
    this.entities = new Map(Object.entries(entities).map(([entity, definition]) => [entity, this.#entityOf(entity, definition)]));
    this.typeList = typeListOf(this.types.keys());
    this.draft = withPlainData(this.#union(types));
    this.draftList = listWithPlainData(this.#union(types));
  }

  /** The service that publishes `type`; undefined when there is no such type. */
  serviceOf(type: string): string | undefined {
    return this.types.get(type)?.service;
  }

  /** Whether there is the channel, and it may carry the type. */
  mayCarry(channel: string, type: string): boolean {
    const family = this.channels.familyOf(channel);
    return family !== undefined && this.carries(family, type);
  }

  /** Whether channels of the family may carry the type. */
  carries(family: string, type: string): boolean {
    return this.types.get(type)?.families.includes(family) === true;
  }

  /** The field of an event's data that should have the id in the channel's name, and has another; undefined when there is none. */
  strayId(channel: string, data: Readonly<Record<string, unknown>>): string | undefined {
    return strayId(this.#idFields, channel, data);
  }

  /** The types that channels of a family can carry. */
  typesOn(family: string): string[] {
    return [...this.types.values()].filter(({ families }) => families.includes(family)).map(({ type }) => type);
  }

  /** The draft of an event of a service. */
  draftOf(service: string): DraftSchema<CheckedDraft> {
    return withPlainData(this.#union([...this.types.values()].filter((info) => info.service === service)));
  }

  /** A draft that can be published, made of the type's first example. */
  sampleOf(type: string): Draft<string, string, object> {
    const { families, examples } = this.types.get(type) as EventTypeInfo;
    const [home] = families as [string];
    const [data] = examples;
    const id: unknown = (data as Readonly<Record<string, unknown>>)[this.families.get(home)?.id ?? ''];
    return { type, channel: home === 'global' ? 'global' : `${home}.${typeof id === 'string' ? id : 'example'}`, data };
  }

  #entityOf(name: string, definition: EntityDefinition): Entity {
    const carriers = this.channels.families.filter((family) => definition.types.some((type) => this.carries(family, type)));
    const { on = carriers } = definition;
    const families = carriers.filter((family) => on.includes(family) || COMMON_FAMILIES.some((common) => common === family));
    return new Entity(name, definition, families, this.#idFields);
  }

  #infoOf(service: string, type: string, event: EventDefinition): EventTypeInfo {
    const families = [...new Set([...event.on, 'user', 'global'])];
    const home = this.families.get(families[0] as string)?.id;
    return {
      type,
      service,
      families,
      description: event.description,
      data: event.data,
      examples: event.examples,
      subject: event.subject ?? (home !== undefined && home in event.data.shape ? home : undefined),
      version: event.version ?? 1,
      earlier: new Map(Object.entries(event.upcast ?? {}).map(([version, earlier]) => [Number(version), earlier])),
    };
  }

  #union(types: readonly EventTypeInfo[]): z.ZodType<CheckedDraft, unknown> {
    return draftUnion(types, this.#idFields) as z.ZodType<CheckedDraft, unknown>;
  }
}
