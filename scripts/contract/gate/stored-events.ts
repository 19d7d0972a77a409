/**
 * Whether events that are stored can still be read. The gateway brings an event of an earlier version to the present one by the
 * upcast of that version, and gives subscribers a notice in its place when there is none. So data that changes its form needs a
 * higher version, and each version of which events may be stored needs its upcast.
 */
import type { Contract, EventTypeInfo } from '../../../src/contract/contract.ts';
import type { EarlierVersion } from '../../../src/contract/definition.ts';
import type { ContractDocument, TypeOfEvents } from '../../../src/contract/document.ts';
import { jsonSchemaOf } from '../../../src/contract/json-schema-of.ts';
import { sampleDraft } from '../../../src/contract/samples.ts';
import { upcast } from '../../../src/contract/upcast.ts';
import { type ContractChange, isBreaking, row } from '../change.ts';
import { envelopeChanges } from '../compatibility.ts';
import { own } from '../keywords.ts';
import { aboutType } from '../part-changes.ts';
import { breaks, schemaChanges, UNCLEAR } from '../schema-changes.ts';
import type { Stage } from './stage.ts';

export interface StoredEventsOptions {
  readonly contract: Contract;
  readonly now: ContractDocument;
  /** The contracts that are looked back at, oldest first. */
  readonly stages: readonly Stage[];
  /** Whether no event of the version can be stored any more. */
  readonly isGone: (type: string, version: number) => boolean;
}

/** What keeps stored events from being read, as changes that no line of the ledger explains. */
export function unreadableEvents({ contract, now, stages, isGone }: StoredEventsOptions): ContractChange[] {
  return [...contract.types.values()].flatMap((info) => {
    const before = stages.filter(({ document }) => own(document['x-drafts'], info.type) !== undefined);
    const formProblem = firstOf(before, ({ document }) => versionProblem(info, document, now));
    return [...(formProblem === undefined ? [] : [formProblem]), ...upcastProblems(info, before, contract, isGone)];
  });
}

/** The types whose version went up although their data takes and gives what it did. */
export function needlessVersions({ contract, now, stages }: Omit<StoredEventsOptions, 'isGone'>): string[] {
  return [...contract.types.values()].flatMap(({ type, version }) => {
    const earlier = stages.filter(({ document }) => own(document['x-drafts'], type) && aboutType(document, type).version < version);
    const isNeedless = earlier.length > 0 && earlier.every(({ document }) => breakingData(type, document, now) === undefined);
    return isNeedless ? [type] : [];
  });
}

function firstOf<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

function versionProblem(
  { type, version, data }: EventTypeInfo,
  before: ContractDocument,
  now: ContractDocument,
): ContractChange | undefined {
  const { version: old } = aboutType(before, type);
  const refused = (change: string, reason: string) => row(type, 'version', change, undefined, breaks(reason));
  if (old > version) {
    return refused(
      `version ${old} → ${version}`,
      `stored events of version ${old} cannot be read: make it version ${old + 1}, with an upcast from ${old}`,
    );
  }
  if (old < version) return undefined;
  const broken = breakingData(type, before, now);
  // Schemas cannot say all that is checked.
  const lost = examplesOf(before, type).find((example) => !data.safeParse(example).success);
  if (broken === undefined && lost === undefined) return undefined;
  const what = broken === undefined ? `the example ${JSON.stringify(lost)} is refused` : `${broken.path}: ${broken.change}`;
  return refused(
    `still version ${version}`,
    `stored events have another form (${what}): make it version ${version + 1}, with an upcast from ${version}`,
  );
}

/** The first change of a type's data that breaks somebody. */
function breakingData(type: string, before: ContractDocument, now: ContractDocument): ContractChange | undefined {
  return envelopeChanges(type, before, now).find((change) => isBreaking(change) && /^data(\.|\[|$)/.test(change.path ?? ''));
}

function upcastProblems(
  info: EventTypeInfo,
  before: readonly Stage[],
  contract: Contract,
  isGone: StoredEventsOptions['isGone'],
): ContractChange[] {
  const { type, version } = info;
  const earlier = new Set(
    before.flatMap(({ document }) => [aboutType(document, type).version, ...(aboutType(document, type).upcasts ?? [])]),
  );
  return [...earlier]
    .filter((from) => from < version)
    .flatMap((from) => {
      const refused = (change: string, reason: string) => [row(type, 'upcasts', change, undefined, breaks(reason))];
      if (!info.earlier.has(from)) {
        const reason = `stored events of version ${from} cannot be read: say in upcast how they become version ${version}`;
        return isGone(type, from) ? [] : refused(`no upcast from ${from}`, reason);
      }
      const stages = before.filter(({ document }) => aboutType(document, type).version === from);
      const problem = firstOf(stages, ({ document }) => whatUpcastRefuses(info, from, document, contract));
      return problem === undefined ? [] : refused(`upcast from ${from}`, problem);
    });
}

/** What the upcast from a version does not take, judged by the schema and the examples that the version had. */
function whatUpcastRefuses(
  { type, earlier }: EventTypeInfo,
  from: number,
  before: ContractDocument,
  contract: Contract,
): string | undefined {
  const asItWas = `: give earlierVersion the schema that version ${from} had, as it was written`;
  const old = own(before['x-drafts'], type)?.properties?.['data'] ?? {};
  const taken = jsonSchemaOf((earlier.get(from) as EarlierVersion).data, { io: 'input' });
  const narrower = schemaChanges(old, taken, 'data').filter(({ publishers }) => publishers.breaking);
  const known = narrower.find(({ publishers }) => publishers !== UNCLEAR);
  if (known) return `it refuses data that version ${from} had (${known.path}: ${known.change})`;
  if (narrower[0])
    return `whether it takes the data of version ${from} cannot be judged (${narrower[0].path}: ${narrower[0].change})${asItWas}`;
  return firstOf(examplesOf(before, type), (example) => {
    const made = upcast(contract, { ...sampleDraft(before, type, example), version: from });
    return 'data' in made ? undefined : `${made.problem}, from the example of version ${from}: ${JSON.stringify(example)}`;
  });
}

function examplesOf(document: ContractDocument, type: string): readonly unknown[] {
  return own<Partial<TypeOfEvents>>(document['x-types'] ?? {}, type)?.examples ?? [];
}
