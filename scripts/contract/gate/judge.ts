/** The gate's judgement on a contract: what changed, what of it is not accounted for, and what no line of the ledger can excuse. */
import type { Contract } from '../../../src/contract/contract.ts';
import { type ContractDocument, contractDocument } from '../../../src/contract/document.ts';
import { type ContractChange, isBreaking, row } from '../change.ts';
import { contractChanges } from '../compatibility.ts';
import { own } from '../keywords.ts';
import { aboutType } from '../part-changes.ts';
import { breaks } from '../schema-changes.ts';
import type { Earlier } from './earlier.ts';
import { compareLedgers, isNamed, type LedgerLine, linesOf, nameOf } from './ledger.ts';
import type { Stage } from './stage.ts';
import { needlessVersions, unreadableEvents } from './stored-events.ts';

/** A change, and where it was made; undefined when the working tree makes it. */
export interface PlacedChange extends ContractChange {
  readonly since: string | undefined;
}

export interface Judgement {
  /** From the last earlier contract to the present one. */
  readonly changes: readonly ContractChange[];
  /** Breaking changes that no line of the ledger names. */
  readonly unnamed: readonly PlacedChange[];
  /** What must not be, whatever the ledger says. */
  readonly refused: readonly ContractChange[];
  readonly notes: readonly string[];
}

export interface JudgementOptions {
  readonly contract: Contract;
  readonly earlier: Earlier;
  /** The text of the present ledger. */
  readonly ledger: string | undefined;
  /** No event is stored that is older; in milliseconds. */
  readonly storedSince: number;
  /** Where git knows the ledger. */
  readonly ledgerPath: string | undefined;
}

export function judge(options: JudgementOptions): Judgement {
  const { contract, earlier } = options;
  const now = contractDocument(contract);
  const lines = linesOf(options.ledger);
  const ledger = lines.filter((line) => 'changes' in line);
  const last = earlier.steps.at(-1);
  const unnamed = [...unnamedInSteps(earlier.steps, now, ledger), ...unnamedSinceRelease(earlier.stages, now, ledger)];
  return {
    changes: last === undefined ? [] : contractChanges(last.document, now),
    unnamed: unnamed.filter((change, index) => unnamed.findIndex((other) => nameOf(other) === nameOf(change)) === index),
    refused: [
      ...ledgerProblems(earlier, lines),
      ...unreadableEvents({ contract, now, stages: earlier.stored, isGone: (type, version) => isGone(type, version, ledger, options) }),
    ],
    notes: [
      ...(earlier.note === undefined ? [] : [earlier.note]),
      ...unsquashed(earlier, now, ledger),
      ...needlessVersions({ contract, now, stages: earlier.stages }).map(
        (type) => `${type}: its version went up, and nothing of its data breaks`,
      ),
    ],
  };
}

/** The breaking changes from each step to the next that are in no line that came after the step. */
function unnamedInSteps(steps: readonly Stage[], now: ContractDocument, ledger: readonly LedgerLine[]): PlacedChange[] {
  return steps.flatMap((step, index) => {
    const next = steps[index + 1];
    const lines = linesSince(step, ledger);
    return contractChanges(step.document, next?.document ?? now)
      .filter((change) => isBreaking(change) && !isNamed(change, lines))
      .map((change) => ({ ...change, since: next?.name }));
  });
}

/** A branch that passes as a whole may have commits that main would not let pass one by one. */
function unsquashed({ steps, commits = [] }: Earlier, now: ContractDocument, ledger: readonly LedgerLine[]): string[] {
  const known = new Set(unnamedInSteps(steps, now, ledger).map(nameOf));
  const others = unnamedInSteps(commits, now, ledger).filter((change) => change.since !== undefined && !known.has(nameOf(change)));
  return [...new Set(others.map(({ since }) => since))].map(
    (since) => `${since}: this commit breaks somebody until a later one; squash them, as main compares each`,
  );
}

/**
 * Steps that break nobody may break somebody together: a field is removed, which subscribers may not rely on, and comes back with
 * another meaning. So what breaks since the release must be in some line, which may name it by its part of the way.
 */
function unnamedSinceRelease(stages: readonly Stage[], now: ContractDocument, ledger: readonly LedgerLine[]): PlacedChange[] {
  const [first] = stages;
  if (first === undefined || stages.length === 1) return [];
  const named = linesSince(first, ledger).flatMap(({ changes }) => changes);
  return contractChanges(first.document, now)
    .filter((change) =>
      (['publishers', 'subscribers'] as const).some(
        (side) => change[side] === 'breaking' && !named.some((other) => other[side] === 'breaking' && concernsSame(other, change)),
      ),
    )
    .map((change) => ({ ...change, since: `the time since ${first.name}` }));
}

type Place = Pick<ContractChange, 'subject' | 'path' | 'change'>;

/** Whether one change is of the same thing as another, of a part of it, or of the whole of which it is a part. */
function concernsSame(named: Place, change: Place): boolean {
  if (named.subject !== change.subject) return false;
  if (named.path === change.path || (named.path === null && named.change.endsWith(' removed'))) return true;
  const within = (outer: string | null, inner: string | null) =>
    outer !== null && inner !== null && /^[.[]/.test(inner.slice(outer.length)) && inner.startsWith(outer);
  return within(named.path, change.path) || within(change.path, named.path);
}

function linesSince(stage: Stage, ledger: readonly LedgerLine[]): LedgerLine[] {
  return compareLedgers(stage.ledger, ledger).added;
}

/** The ledger only grows, and each of its lines says something. */
function ledgerProblems({ steps, stages }: Earlier, lines: ReturnType<typeof linesOf>): ContractChange[] {
  const gone = new Set([...stages, ...steps].flatMap(({ ledger }) => compareLedgers(ledger, lines).removed.map(({ text }) => text)));
  const refused = (text: string, reason: string) =>
    row('ledger', null, text.length > 100 ? `${text.slice(0, 99)}…` : text, undefined, breaks(reason));
  return [
    ...[...gone].map((text) => refused(text, 'the line was there, and was changed or removed: put it back, and add what is to be said')),
    ...lines.flatMap((line) => ('problem' in line ? [refused(line.text, `this is no line of a ledger: ${line.problem}`)] : [])),
  ];
}

/**
 * Whether retention has removed every event of the version. The ledger tells when the next one came, and releases tell when it was
 * served: a release publishes the earlier one until the next release takes its place.
 */
function isGone(
  type: string,
  version: number,
  ledger: readonly LedgerLine[],
  { earlier, ledgerPath, storedSince }: JudgementOptions,
): boolean {
  // It is published still.
  if (version >= (earlier.steps.at(-1)?.document['x-types']?.[type]?.version ?? 1)) return false;
  const merged = ledgerPath === undefined ? undefined : earlier.repository?.datesOfLines(ledgerPath);
  const dates = ledger.flatMap(({ text, date, changes }) => {
    const raises = changes.some((change) => change.subject === type && change.path === 'version' && isWithin(version, change.change));
    // A date may be of long before the change was merged.
    return raises ? [[date, merged?.get(text) ?? new Date().toISOString().slice(0, 10)].sort().at(-1) as string] : [];
  });
  const last = dates.sort().at(-1);
  return last !== undefined && Date.parse(last) < storedSince && !isReleased(type, version, earlier, storedSince);
}

/** Whether a release may have taken the version since then. Without any release, the main line is what is served. */
function isReleased(type: string, version: number, { released }: Earlier, since: number): boolean {
  const releases = released();
  const oldest = releases.at(-1);
  if (oldest === undefined) return false;
  // Nobody knows what was served before the first release.
  if (oldest.madeAt > since) return true;
  return releases.some(({ stage }) => {
    return stage !== undefined && own(stage.document['x-drafts'], type) !== undefined && aboutType(stage.document, type).version <= version;
  });
}

function isWithin(version: number, change: string): boolean {
  const [, from, to] = /^version (\d+) → (\d+)$/.exec(change) ?? [];
  return from !== undefined && Number(from) <= version && version < Number(to);
}
