/**
 * Drafts and events to show, made of the examples in a contract's document: in the AsyncAPI document and in the dashboard. Nothing
 * but the document is known here. The dashboard imports this file, so it imports no code.
 */
import type { ContractDocument, FamilyOfChannels } from './document.ts';
import type { JsonSchema } from './json-schema.ts';

/** A draft in plain JSON. */
export interface SampleDraft {
  readonly type: string;
  readonly channel: string;
  readonly data: unknown;
}

/** An event or a notice in plain JSON, as subscribers receive it. */
export interface SampleEvent extends SampleDraft {
  readonly id: string;
  readonly metadata: { readonly timestamp: string; readonly source: string };
}

/** Where the samples stand in a log, and when they happened. */
const POSITION = '4f9xq2-1042';
const TIMESTAMP = '2026-01-31T09:30:00.000Z';
const NOTICE_DATA: Readonly<Record<string, unknown>> = {
  'courier.gap': { reason: 'expired', requested: '4f9xq2-17', resumed_from: '4f9xq2-980' },
  'courier.live': { position: POSITION, replayed: 62 },
};

/**
 * The families whose channels carry a type: first the one whose id is the type's subject, then the others, those that every contract
 * has last.
 */
export function carriersOf(document: ContractDocument, type: string): [family: string, channels: FamilyOfChannels][] {
  const carriers = Object.entries(document['x-channels']).filter(([, { types }]) => types.includes(type));
  const subject = subjectOf(document, type);
  const isHome = ([, { id }]: (typeof carriers)[number]) => id !== undefined && id === subject;
  return [...carriers.filter(isHome), ...carriers.filter((carrier) => !isHome(carrier)).reverse()];
}

/** The field of the data that names what events of a type are about; undefined when there is none, or no such type. */
export function subjectOf(document: ContractDocument, type: string): string | undefined {
  const types = document['x-types'];
  return Object.hasOwn(types, type) ? types[type]?.subject : undefined;
}

/** A draft that can be published. @param data the type's first example when absent. */
export function sampleDraft(document: ContractDocument, type: string, data: unknown = firstExample(document, type)): SampleDraft {
  return { type, channel: channelFor(document, type, data), data };
}

/** An event as subscribers receive it; for the type of a notice, the notice. @param data the type's first example when absent. */
export function sampleEvent(document: ContractDocument, type: string, data: unknown = firstExample(document, type)): SampleEvent {
  const isNotice = document['x-notices'].includes(type);
  const [service] = Object.entries(document['x-services']).find(([, types]) => types.includes(type)) ?? ['courier'];
  return {
    id: POSITION,
    channel: isNotice ? 'courier' : channelFor(document, type, data),
    type,
    metadata: { timestamp: TIMESTAMP, source: service },
    data,
  };
}

function firstExample(document: ContractDocument, type: string): unknown {
  return document['x-types'][type]?.examples[0] ?? NOTICE_DATA[type] ?? {};
}

/** The channel that the ids in the data name; without one, a channel of any id of a family of the contract's own, or `global`. */
function channelFor(document: ContractDocument, type: string, data: unknown): string {
  const carriers = carriersOf(document, type);
  for (const [, { form, id, name }] of carriers) {
    const value = id === undefined ? undefined : fieldOf(data, id);
    const channel = typeof value === 'string' ? form.replace('{id}', () => value) : undefined;
    if (channel !== undefined && isNamed(name, channel)) return channel;
  }
  const free = carriers.find(([family, { id }]) => family !== 'user' && (id === undefined || fieldOf(data, id) === undefined));
  return free?.[1].form.replace('{id}', 'example') ?? 'global';
}

function isNamed({ pattern }: JsonSchema, channel: string): boolean {
  return pattern !== undefined && new RegExp(pattern, 'u').test(channel);
}

function fieldOf(data: unknown, field: string): unknown {
  return typeof data === 'object' && data !== null && Object.hasOwn(data, field) ? (data as Record<string, unknown>)[field] : undefined;
}
