/**
 * Which earlier contracts the present one is compared with. The snapshot in the working tree proves nothing, as a change may renew
 * it; git says what it was.
 *
 * - On a branch: where the branch left the main line.
 * - On the main line: commit by commit since the last release, so that a change is found that was renewed in the commit that made it.
 * - Where there is no main line, as in a clone of one branch: as on the main line.
 *
 * For stored events it looks further back, as they outlive the release that they were published with.
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ContractDocument } from '../../../src/contract/document.ts';
import { parseContractDocument } from '../compatibility.ts';
import { type ContractFiles, ledgerBeside, shown, textOf } from './files.ts';
import { Repository } from './git.ts';
import { History, type ReleasedStage, SHALLOW } from './history.ts';
import { linesOf } from './ledger.ts';
import { NoEarlierContract, type Stage } from './stage.ts';

export interface Earlier {
  /** Each is compared with the next one, the last with the present contract: no breaking change may be without its line. */
  readonly steps: readonly Stage[];
  /** Since the last release, oldest first, with the steps. */
  readonly stages: readonly Stage[];
  /** Those of which events may be stored, oldest first, with the stages. */
  readonly stored: readonly Stage[];
  /** The releases that may have served since the oldest event was stored, the last first. */
  readonly released: () => readonly ReleasedStage[];
  /** On a branch: its own commits, and what was before the first, which are steps too if they are not squashed. */
  readonly commits?: readonly Stage[];
  /** What people should know of the comparison; undefined when it is as it should be. */
  readonly note?: string;
  readonly repository?: Repository | undefined;
}

/** Where branches leave from, the first that there is; in full, so that no tag is taken for one. */
const TRUNKS = ['remotes/origin/main', 'remotes/origin/HEAD', 'remotes/origin/master', 'heads/main', 'heads/master'].map(
  (name) => `refs/${name}`,
);

export interface EarlierOptions {
  readonly files: ContractFiles;
  /** The present contract. */
  readonly now: ContractDocument;
  /** A file or a git ref to compare with instead. */
  readonly against: string | undefined;
  /** No event is stored that is older; in milliseconds. */
  readonly storedSince: number;
}

/**
 * @throws {NoEarlierContract} also where a shallow clone lacks what the contract has to be compared with
 * @throws {UnreadableRepository}
 */
export function earlierContracts(options: EarlierOptions): Earlier {
  const { files, now, against, storedSince } = options;
  const repository = Repository.of(files.contract);
  if (against !== undefined) {
    const stage = isFile(against) ? stageOfFile(against) : stageOfRef(against, files, now, repository);
    const released = () => (repository === undefined ? [] : new History(repository, files, now).releasedSince(storedSince, 'HEAD'));
    return { ...only(stage), released, repository };
  }
  if (repository === undefined) {
    return { ...itself(files), note: 'there is no git history: the contract is compared with its snapshot, which any change may renew' };
  }
  return earlierIn(repository, options);
}

function earlierIn(repository: Repository, { files, now, storedSince }: EarlierOptions): Earlier {
  const head = repository.commit('HEAD') as string;
  const trunk = TRUNKS.find((ref) => repository.commit(ref) !== undefined);
  const base = trunk === undefined ? head : repository.mergeBase('HEAD', trunk);
  if (base === undefined && repository.isShallow) throw new NoEarlierContract(SHALLOW);
  const history = new History(repository, files, now);
  const until = base ?? head;
  const [stages, stored] = [history.sinceRelease(until), history.storedSince(storedSince, until)];
  const last = stages.at(-1);
  const note = noteOn(trunk, base);
  const released = () => history.releasedSince(storedSince, until);
  if (last === undefined) {
    const found = itself(files);
    const isNew = 'no earlier commit has this contract: there is nothing that it could break';
    const isAgain = 'no commit since the last release has this contract: there is nothing but stored events that it could break';
    return { ...found, stored: [...stored, ...found.stages], released, repository, note: note ?? (stored.length === 0 ? isNew : isAgain) };
  }
  const all = { stages, stored, released, repository, ...(note !== undefined && { note }) };
  return until === head ? { ...all, steps: stages } : { ...all, steps: [last], commits: history.between(until, head) };
}

function noteOn(trunk: string | undefined, base: string | undefined): string | undefined {
  const eachCommit = 'each commit was compared with its parent';
  if (trunk === undefined) return `there is no origin/main to compare a branch with: ${eachCommit}`;
  return base === undefined ? `HEAD and ${trunk} have no commit in common: ${eachCommit}` : undefined;
}

/** The one contract that there is to compare with. */
function only(...stages: readonly Stage[]): Earlier {
  return { steps: stages, stages, stored: stages, released: () => [] };
}

/** Where nothing tells what was, the snapshot itself. */
function itself(files: ContractFiles): Earlier {
  const text = textOf(files.snapshot);
  if (text === undefined) return only();
  return only({ name: shown(files.snapshot), document: parsed(shown(files.snapshot), text), ledger: linesOf(textOf(files.ledger)) });
}

function isFile(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  } catch (error) {
    throw new NoEarlierContract(`--against: ${messageOf(error)}`);
  }
}

/** Lines of the ledger count from when the file was written, which the ledger beside it tells. */
function stageOfFile(path: string): Stage {
  const ledger = linesOf(textOf(ledgerBeside(resolve(path))));
  return { name: path, document: parsed(path, textOf(path) as string), ledger };
}

function stageOfRef(ref: string, files: ContractFiles, now: ContractDocument, repository: Repository | undefined): Stage {
  const refusal = (reason: string) =>
    new NoEarlierContract(`--against: ${JSON.stringify(ref)} is no file, and no git ref with a snapshot: ${reason}`);
  if (repository === undefined) throw refusal('there is no git repository');
  const [, name = ref, path] = /^([^:]+):(.+)$/.exec(ref) ?? [];
  const commit = repository.commit(name);
  if (commit === undefined) throw refusal('git knows no such commit');
  const stage = new History(repository, files, now).at(commit, path);
  if (stage === undefined) throw refusal('there is none in that commit');
  return stage;
}

function parsed(name: string, text: string): ContractDocument {
  try {
    return parseContractDocument(text);
  } catch (error) {
    throw new NoEarlierContract(`${name} is no contract: ${messageOf(error)}`);
  }
}

/** The message of an error on one line. */
function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ');
}
