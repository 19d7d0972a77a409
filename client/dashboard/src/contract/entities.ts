/** What the contract's document says of entities: which there are, and what an event is about. */
import { familyIn } from '../../../../src/contract/channels.ts';
import type { ContractDocument, EntityOfState } from '../../../../src/contract/document.ts';
import { entityKey } from '../../../../src/contract/entities.ts';
import type { ServedEvent } from './served.ts';

/** The rule that makes a key of an event, and the key that it must make. */
export interface KeyOfThing {
  readonly fields: readonly string[];
  /** The field that is the id in the name of the thing's channel. */
  readonly idField?: string | undefined;
  readonly key: string;
}

/** Names a thing among all. */
export interface NameOfThing {
  readonly entity: string;
  readonly channel: string;
  readonly key: string;
}

export function entityNames(document: ContractDocument | undefined): string[] {
  return Object.keys(document?.['x-entities'] ?? {});
}

/** What the document says of an entity; undefined for one that the contract does not have. */
export function entityOf(document: ContractDocument, name: string): EntityOfState | undefined {
  const entities = document['x-entities'] ?? {};
  return Object.hasOwn(entities, name) ? entities[name] : undefined;
}

/** The entity to show where none is chosen: the first that the channels have; of patterns nobody looks which. */
export function entityToShow(document: ContractDocument, channels: readonly string[]): string | undefined {
  const families = new Set(channels.map(familyIn));
  const entities = Object.entries(document['x-entities'] ?? {});
  // Of those that a channel has, the one that the fewest others have.
  const [first] = entities
    .filter(([, entity]) => entity.families.some((family) => families.has(family)))
    .sort(([, a], [, b]) => a.families.length - b.families.length);
  return first?.[0] ?? entities[0]?.[0];
}

export function keyOfThing(document: ContractDocument, { key: fields }: EntityOfState, { channel, key }: NameOfThing): KeyOfThing {
  return { fields, idField: idFieldOf(document, channel), key };
}

/** Whether an event is about the thing. */
export function isAbout({ fields, idField, key }: KeyOfThing, event: Pick<ServedEvent, 'channel' | 'data'>): boolean {
  return entityKey(fields, idField, event) === key;
}

/** The things that an event changes. */
export function thingsOf(document: ContractDocument | undefined, event: Pick<ServedEvent, 'channel' | 'data' | 'type'>): NameOfThing[] {
  if (document === undefined) return [];
  const { channel, type } = event;
  const family = familyIn(channel) ?? '';
  return Object.entries(document['x-entities'] ?? {}).flatMap(([entity, { key: fields, types, families }]) => {
    if (!types.includes(type) || !families.includes(family)) return [];
    const key = entityKey(fields, idFieldOf(document, channel), event);
    return key === undefined ? [] : [{ entity, channel, key }];
  });
}

function idFieldOf(document: ContractDocument, channel: string): string | undefined {
  const families = document['x-channels'];
  const family = familyIn(channel) ?? '';
  return Object.hasOwn(families, family) ? families[family]?.id : undefined;
}
