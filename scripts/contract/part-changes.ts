/** Compares what the document says beside its schemas: of the contract, of families and of types. */
import type { ContractDocument, FamilyOfChannels, TypeOfEvents } from '../../src/contract/document.ts';
import { type ContractChange, row } from './change.ts';
import { own } from './keywords.ts';
import { breaks, type Effect, fine, fingerprint, UNCLEAR } from './schema-changes.ts';

const WORDED = fine('only the wording');

/** The parts of the document that others compare, and the part that follows from them. */
const COMPARED: ReadonlySet<string> = new Set([
  'oneOf',
  '$defs',
  'x-drafts',
  'x-channels',
  'x-services',
  'x-notices',
  'x-types',
  'x-entities',
]);
/** A contract's name is for people too: nobody is refused for it. */
const WORDING: ReadonlySet<string> = new Set(['title', 'description', 'x-name']);

export function documentChanges(before: ContractDocument, after: ContractDocument): ContractChange[] {
  return [...partChanges('contract', before, after, COMPARED, WORDING), ...typesPartChanges(before, after)];
}

/** Documents of Courier 0.1 and earlier say nothing of types beside their schemas. */
function typesPartChanges(before: ContractDocument, after: ContractDocument): ContractChange[] {
  const [had, has] = [before['x-types'] !== undefined, after['x-types'] !== undefined];
  if (had === has) return [];
  if (has) return [row('contract', 'x-types', 'added', fine('nothing else follows from it'), fine('nothing else follows from it'))];
  return [row('contract', 'x-types', 'removed', UNCLEAR, UNCLEAR)];
}

/** The changes of the parts that are not compared otherwise. What is not known is not passed over. */
function partChanges(
  subject: string,
  before: object,
  after: object,
  compared: ReadonlySet<string>,
  wording: ReadonlySet<string>,
): ContractChange[] {
  const [old, now] = [new Map<string, unknown>(Object.entries(before)), new Map<string, unknown>(Object.entries(after))];
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter((part) => !compared.has(part) && JSON.stringify(old.get(part)) !== JSON.stringify(now.get(part)))
    .map((part) => {
      if (wording.has(part)) return row(subject, part, 'reworded', WORDED, WORDED);
      return row(subject, part, `changed (${fingerprint(old.get(part))} → ${fingerprint(now.get(part))})`, UNCLEAR, UNCLEAR);
    });
}

const FAMILY_COMPARED: ReadonlySet<string> = new Set(['form', 'name', 'types', 'id']);
const FAMILY_WORDING: ReadonlySet<string> = new Set(['title']);

/** The changes of a family beside the names of its channels and the types that they carry. */
export function familyPartChanges(family: string, before: ContractDocument, after: ContractDocument): ContractChange[] {
  const [old, now] = [before['x-channels'][family] as FamilyOfChannels, after['x-channels'][family] as FamilyOfChannels];
  const changes = partChanges(now.form, old, now, FAMILY_COMPARED, FAMILY_WORDING);
  if (old.id === now.id) return changes;
  return [
    row(now.form, 'id', `field of the id ${old.id ?? 'none'} → ${now.id ?? 'none'}`, ...idEffects(family, before, after)),
    ...changes,
  ];
}

/** Where data has the field of the id, the gateway refuses another id than the channel's, and subscribers can rely on that. */
function idEffects(family: string, before: ContractDocument, after: ContractDocument): [Effect, Effect] {
  const publishers = hasIdInData(family, after)
    ? breaks('publishers whose data has another id than the channel are refused')
    : fine('no data has the field');
  const subscribers = hasIdInData(family, before)
    ? breaks('data may have another id than the channel')
    : fine('nothing comes that was ruled out');
  return [publishers, subscribers];
}

function hasIdInData(family: string, document: ContractDocument): boolean {
  const { id, types } = document['x-channels'][family] as FamilyOfChannels;
  return id !== undefined && types.some((type) => own(own(document['x-drafts'], type)?.properties?.['data']?.properties, id) !== undefined);
}

const TYPE_COMPARED: ReadonlySet<string> = new Set(['version', 'upcasts']);
/** The subject and the examples stand in forms, logs and documents. */
const TYPE_WORDING: ReadonlySet<string> = new Set(['description', 'subject', 'examples']);
const FIRST_VERSION: Pick<TypeOfEvents, 'version' | 'upcasts'> = { version: 1 };

/** What the document says of a type beside its schemas. */
export function aboutType(document: ContractDocument, type: string): Pick<TypeOfEvents, 'version' | 'upcasts'> {
  return own<TypeOfEvents>(document['x-types'] ?? {}, type) ?? FIRST_VERSION;
}

/** The changes of a type beside its schemas. Whether stored events stay readable is judged in stored-events.ts. */
export function typePartChanges(type: string, before: ContractDocument, after: ContractDocument): ContractChange[] {
  const [old, now] = [aboutType(before, type), aboutType(after, type)];
  const unsaid = old === FIRST_VERSION || now === FIRST_VERSION;
  const same = fine('publishers do not say it');
  const versions = old.version === now.version ? [] : [`version ${old.version} → ${now.version}`];
  const upcasts = [
    ...(now.upcasts ?? []).filter((from) => old.upcasts?.includes(from) !== true).map((from) => `upcast from ${from} added`),
    ...(old.upcasts ?? []).filter((from) => now.upcasts?.includes(from) !== true).map((from) => `upcast from ${from} removed`),
  ];
  return [
    ...(unsaid ? [] : partChanges(type, old, now, TYPE_COMPARED, TYPE_WORDING)),
    ...versions.map((change) => row(type, 'version', change, same, fine('subscribers get every event in the present form'))),
    ...upcasts.map((change) => row(type, 'upcasts', change, same, fine('subscribers get every event in the present form'))),
  ];
}
