/** The draft on the page: an event that is not published yet. */
import type { ContractDocument } from '../../../../../src/contract/document.ts';
import type { JsonSchema } from '../../../../../src/contract/json-schema.ts';
import type { SampleDraft } from '../../../../../src/contract/samples.ts';
import { dataSchemaOf, type Family, familiesOf, hasChannel } from '../../contract/look-up.ts';
import { type DataObject, held, isObject, misfit, partOf, published } from './form-data.ts';
import { readJson } from './json-text.ts';

export interface Draft {
  readonly type: string;
  /** The channel that the user typed; undefined while the data suggests it. */
  readonly channel: string | undefined;
  /** The data of the form. */
  readonly data: DataObject;
  /** The data as text, while the page shows text instead of the form. */
  readonly json: string | undefined;
  readonly metadata: Metadata;
}

/** The metadata as typed; empty for absent fields. */
export interface Metadata {
  readonly timestamp: string;
  readonly correlation_id: string;
  readonly user_id: string;
  readonly idempotency_key: string;
}

const NO_METADATA: Metadata = { timestamp: '', correlation_id: '', user_id: '', idempotency_key: '' };

export function newDraft(type: string, channel: string | undefined): Draft {
  return { type, channel, data: {}, json: undefined, metadata: NO_METADATA };
}

/** The draft for another type. It keeps the fields that both types have, but not the idempotency key, which belongs to another event. */
export function draftOfType(draft: Draft, type: string, document: ContractDocument): Draft {
  const whole = dataSchemaOf(document, type);
  const kept = Object.entries(draft.data).filter(([name, value]) => {
    const schema = partOf(whole, name);
    return schema !== undefined && misfit(value, schema, name) === undefined;
  });
  const { channel, metadata } = draft;
  const isKept = channel !== undefined && familiesOf(document, type).some((family) => hasChannel(family, channel));
  return {
    ...draft,
    type,
    channel: isKept ? channel : undefined,
    data: Object.fromEntries(kept),
    metadata: { ...metadata, idempotency_key: '' },
  };
}

export type DraftContent = Pick<Draft, 'channel' | 'data' | 'json'>;

/**
 * What an example puts into the draft. Its data is text where the user writes text, or where no form can show it. Its channel is
 * left to follow from the data where it does.
 */
export function contentOf(example: SampleDraft, draft: Draft, schema: JsonSchema, families: readonly Family[]): DraftContent {
  const data = isObject(example.data) ? example.data : {};
  const isText = draft.json !== undefined || misfit(data, schema, 'data') !== undefined;
  const isSuggested = channelOf({ ...draft, channel: undefined }, families, data) === example.channel;
  return {
    channel: isSuggested ? undefined : example.channel,
    data: isText ? {} : (held(data, schema) as DataObject),
    json: isText ? JSON.stringify(data, null, 2) : undefined,
  };
}

/** The data of a draft; undefined while its text is not JSON. */
export function dataOf({ data, json }: Draft, schema: JsonSchema): unknown {
  if (json === undefined) return published(data, schema);
  const read = readJson(json);
  return 'fault' in read ? undefined : read.value;
}

/** The channel of a draft: the typed one, or else the one that the ids of its data suggest. */
export function channelOf(draft: Draft, families: readonly Family[], data: unknown): string {
  if (draft.channel !== undefined) return draft.channel;
  for (const family of families) {
    const id = idFor(family, draft, data);
    if (id !== '') return channelIn(family, id);
  }
  return '';
}

/** The channel of a family with an id; with an empty id, the beginning of the family's channels. */
export function channelIn({ form }: Family, id: string): string {
  return form.replace('{id}', () => id);
}

/** The id in the data that names the channel of a family. Empty when there is none. */
export function idFor({ name, id: field }: Family, { metadata }: Draft, data: unknown): string {
  const id = field !== undefined && isObject(data) ? data[field] : undefined;
  if (typeof id === 'string') return id;
  return name === 'user' ? metadata.user_id.trim() : '';
}
