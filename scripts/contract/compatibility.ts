/**
 * Compares two versions of the contract, and says whom each change breaks. The gateway checks the drafts of publishers against
 * the strict form. Subscribers check events against the open form that they were built from, and ignore fields and types that
 * they do not know.
 */
import { z } from 'zod';
import type { ContractDocument } from '../../src/contract/document.ts';
import type { JsonSchema } from '../../src/contract/json-schema.ts';
import { type ContractChange, row } from './change.ts';
import { entityChanges } from './entity-changes.ts';
import { own } from './keywords.ts';
import { documentChanges, familyPartChanges, typePartChanges } from './part-changes.ts';
import { breaks, type Effect, fine, type SchemaChange, schemaChanges } from './schema-changes.ts';
import { strict } from './strict.ts';

export { type ContractChange, isBreaking, type Verdict } from './change.ts';

const anySchemas = z.record(z.string(), z.looseObject({}));
const documentForm = z.looseObject({
  $defs: anySchemas,
  'x-drafts': anySchemas,
  'x-channels': z.record(z.string(), z.looseObject({ form: z.string(), name: z.looseObject({}), types: z.array(z.string()) })),
  'x-services': z.record(z.string(), z.array(z.string())),
  'x-notices': z.array(z.string()),
  'x-types': z.record(z.string(), z.looseObject({ version: z.int().min(1), upcasts: z.array(z.int().min(1)).optional() })).optional(),
  'x-entities': z
    .record(
      z.string(),
      z.looseObject({
        key: z.array(z.string()),
        types: z.array(z.string()),
        families: z.array(z.string()),
        version: z.int().min(1),
        migrates: z.array(z.int().min(1)).optional(),
        folds: z.string(),
        state: z.looseObject({}),
      }),
    )
    .optional(),
});

/**
 * Reads the contract of an earlier or later version. The function does not look into the schemas.
 *
 * @throws {Error} saying why `json` is no contract
 */
export function parseContractDocument(json: string): ContractDocument {
  const result = documentForm.safeParse(JSON.parse(json));
  const [issue] = result.error?.issues ?? [];
  if (issue !== undefined) throw new TypeError(`${issue.path.join('.')}: ${issue.message}`);
  return result.data as unknown as ContractDocument;
}

/** The changes from `before` to `after`, type by type. A breaking change is never called compatible. */
export function contractChanges(before: ContractDocument, after: ContractDocument): ContractChange[] {
  const [old, now] = [namesIn(before), namesIn(after)];
  return [
    ...documentChanges(before, after),
    ...union(old.families, now.families).flatMap((family) => familyChanges(family, before, after)),
    ...union(old.events, now.events).flatMap((type) => eventChanges(type, before, after)),
    ...union(old.notices, now.notices).flatMap((type) => noticeChanges(type, before, after)),
    ...entityChanges(before, after),
  ];
}

function namesIn(document: ContractDocument) {
  return { families: Object.keys(document['x-channels']), events: Object.keys(document['x-drafts']), notices: document['x-notices'] };
}

function familyChanges(family: string, before: ContractDocument, after: ContractDocument): ContractChange[] {
  const [old, now] = [own(before['x-channels'], family), own(after['x-channels'], family)];
  if (old === undefined && now !== undefined) {
    return [row(now.form, null, 'channels added', fine('nobody has to use them'), fine('nobody has to use them'))];
  }
  if (old !== undefined && now === undefined) {
    return [row(old.form, null, 'channels removed', breaks('publishes there are refused'), breaks('subscriptions there are refused'))];
  }
  if (old === undefined || now === undefined) return [];
  return [
    ...schemaChanges(old.name, now.name).map(({ change, publishers, subscribers }) => row(now.form, null, change, publishers, subscribers)),
    ...familyPartChanges(family, before, after),
  ];
}

function eventChanges(type: string, before: ContractDocument, after: ContractDocument): ContractChange[] {
  const [old, now] = [own(before['x-drafts'], type), own(after['x-drafts'], type)];
  if (old === undefined) {
    return [row(type, null, 'type added', fine('nobody has to publish it'), fine('subscribers pass over types that they do not know'))];
  }
  if (now === undefined) {
    return [row(type, null, 'type removed', breaks('publishers of it are refused'), breaks('it comes no more; asking for it is refused'))];
  }
  return [
    ...typePartChanges(type, before, after),
    ...serviceChanges(type, before, after),
    ...carrierChanges(type, before, after),
    ...envelopeChanges(type, before, after),
  ];
}

function serviceChanges(type: string, before: ContractDocument, after: ContractDocument): ContractChange[] {
  const serviceIn = (document: ContractDocument) =>
    Object.entries(document['x-services']).find(([, types]) => types.includes(type))?.[0] ?? 'none';
  const [old, now] = [serviceIn(before), serviceIn(after)];
  if (old === now) return [];
  return [row(type, null, `service ${old} → ${now}`, breaks(`${old} is refused`), fine('the events are the same'))];
}

/** The families that now carry the type, and those that no longer do. */
function carrierChanges(type: string, before: ContractDocument, after: ContractDocument): ContractChange[] {
  const carries = (document: ContractDocument, family: string) => own(document['x-channels'], family)?.types.includes(type) === true;
  const families = { ...before['x-channels'], ...after['x-channels'] };
  return Object.entries(families).flatMap(([family, { form }]) => {
    const [did, does] = [carries(before, family), carries(after, family)];
    if (did === does) return [];
    if (does) return [row(type, 'channel', `${form} added`, fine('publishers need not use it'), breaks('it comes where it was ruled out'))];
    return [row(type, 'channel', `${form} removed`, breaks('publishes there are refused'), breaks('it comes there no more'))];
  });
}

/** A change of the draft concerns publishers, a change of the received event concerns subscribers, and a change of both concerns both. */
export function envelopeChanges(type: string, before: ContractDocument, after: ContractDocument): ContractChange[] {
  const changesIn = (part: '$defs' | 'x-drafts') =>
    schemaChanges(withoutChannel(strictIn(before, part, type)), withoutChannel(strictIn(after, part, type)));
  const [drafts, received] = [changesIn('x-drafts'), changesIn('$defs')];
  const same = (a: SchemaChange) => (b: SchemaChange) => a.path === b.path && a.change === b.change;
  return [
    ...drafts.map((change) => schemaRow(type, change, change.publishers, worstForSubscribers(received.filter(same(change))))),
    ...received.filter((change) => !drafts.some(same(change))).map((change) => schemaRow(type, change, undefined, change.subscribers)),
  ];
}

/** Several changes may have the same path and text: two alternatives may both be objects. */
function worstForSubscribers(changes: readonly SchemaChange[]): Effect | undefined {
  return (changes.find(({ subscribers }) => subscribers.breaking) ?? changes[0])?.subscribers;
}

function noticeChanges(type: string, before: ContractDocument, after: ContractDocument): ContractChange[] {
  const [was, is] = [before['x-notices'].includes(type), after['x-notices'].includes(type)];
  if (!was) return [row(type, null, 'notice added', undefined, fine('subscribers pass over types that they do not know'))];
  if (!is) return [row(type, null, 'notice removed', undefined, breaks('subscribers wait for it'))];
  const changes = schemaChanges(strictIn(before, '$defs', type), strictIn(after, '$defs', type));
  return changes.map((change) => schemaRow(type, change, undefined, change.subscribers));
}

function strictIn(document: ContractDocument, part: '$defs' | 'x-drafts', type: string): JsonSchema {
  return strict(own(document[part], type) ?? {});
}

/** Removes the channel from a schema: `carrierChanges` compares the channels of a type by family. */
function withoutChannel(schema: JsonSchema): JsonSchema {
  const { channel: _, ...properties } = schema.properties ?? {};
  return { ...schema, properties, required: (schema.required ?? []).filter((name) => name !== 'channel') };
}

function schemaRow(type: string, { path, change }: SchemaChange, publishers: Effect | undefined, subscribers: Effect | undefined) {
  return row(type, path === '' ? null : path, change, publishers, subscribers);
}

function union(before: readonly string[], after: readonly string[]): string[] {
  return [...new Set([...before, ...after])];
}
