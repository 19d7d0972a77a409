/** What the pages of the state take from their addresses, so that a link shows the same. What is wrong is told in a sentence. */
import type { ContractDocument } from '../../../../../src/contract/document.ts';
import { MAX_KEY_UNITS } from '../../../../../src/contract/entities.ts';
import { entityNames, entityOf, type NameOfThing } from '../../contract/entities.ts';
import { hasChannel } from '../../contract/look-up.ts';

export interface StateSearch {
  /** One that fits the channels when absent. It may be none of the contract's: a link may be older than the contract. */
  readonly entity?: string;
  /** Channels and patterns, separated by commas; everything when absent. */
  readonly channels?: string;
  /** Only what is open. A text is what nobody understands. */
  readonly open?: boolean | string;
  /** Only things with exactly this key. */
  readonly key?: string;
}

/** Names a thing, as far as the address does. */
export type ThingSearch = { readonly [K in keyof NameOfThing]?: string };

/** Reads the known parameters of the address. */
export function stateSearch(search: Record<string, unknown>): StateSearch {
  const { open } = search;
  const isOpen = open === true || open === false ? open : textOf(search, 'open').open;
  return {
    ...textOf(search, 'entity'),
    ...textOf(search, 'channels'),
    ...(isOpen !== undefined && isOpen !== false && { open: isOpen }),
    ...textOf(search, 'key'),
  };
}

export function thingSearch(search: Record<string, unknown>): ThingSearch {
  return { ...textOf(search, 'entity'), ...textOf(search, 'channel'), ...textOf(search, 'key') };
}

/** The router reads what looks like JSON as JSON, such as an id of digits. */
function textOf<K extends string>(search: Record<string, unknown>, key: K): { readonly [P in K]?: string } {
  const value = search[key];
  if (value === undefined || value === '') return {};
  return { [key]: typeof value === 'string' ? value : JSON.stringify(value) } as { readonly [P in K]?: string };
}

/** What is wrong with an address of states. Of the channels the gateway says it. */
export function problemOfState(document: ContractDocument, { entity, open, key }: StateSearch): string | undefined {
  if (typeof open === 'string') return `“open” in the address is true or false, not ${JSON.stringify(open)}.`;
  if (key !== undefined && key.length > MAX_KEY_UNITS) return tooLong(key);
  return entity === undefined ? undefined : problemOfEntity(document, entity);
}

/** What is wrong with the address of a thing. */
export function problemOfThing(document: ContractDocument, search: ThingSearch): string | undefined {
  const missing = (['entity', 'channel', 'key'] as const).filter((part) => search[part] === undefined);
  if (missing.length > 0) return `The address of a thing names its entity, its channel and its key; it has no ${missing.join(' and no ')}.`;
  const { entity, channel, key } = search as NameOfThing;
  if (key.length > MAX_KEY_UNITS) return tooLong(key);
  const families = Object.values(document['x-channels']);
  const isChannel = families.some(({ form, name: schema, id }) => hasChannel({ name: '', form, schema, id }, channel));
  if (!isChannel) return `${JSON.stringify(channel)} is no channel; channels are ${families.map(({ form }) => form).join(', ')}.`;
  return problemOfEntity(document, entity);
}

function problemOfEntity(document: ContractDocument, entity: string): string | undefined {
  if (entityOf(document, entity) !== undefined) return undefined;
  return `The contract has no entity ${JSON.stringify(entity)}; it has ${entityNames(document).join(', ')}.`;
}

function tooLong({ length }: string): string {
  return `A key has at most ${MAX_KEY_UNITS} characters; that of the address has ${length}.`;
}
