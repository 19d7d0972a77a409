/**
 * Which earlier contracts the present one is compared with. The snapshot in the working tree proves nothing, as a change may renew
 * it; git says what it was.
 *
 * - On a branch: where the branch left the main line.
 * - On the main line: commit by commit since the last release, so that a change is found that was renewed in the commit that made it.
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ContractDocument } from '../../../src/contract/document.ts';
import { parseContractDocument } from '../compatibility.ts';
import { type ContractFiles, ledgerBeside, shown, textOf } from './files.ts';
import { Repository } from './git.ts';
import { linesOf } from './ledger.ts';

/** A contract as it was, with its ledger. */
export interface Stage {
  /** How people find it: a commit, a file. */
  readonly name: string;
  readonly document: ContractDocument;
  readonly ledger: ReturnType<typeof linesOf>;
}

export interface Earlier {
  /** Each is compared with the next one, the last with the present contract: no breaking change may be without its line. */
  readonly steps: readonly Stage[];
  /** Since the last release, oldest first, with the steps: events may be stored of each. */
  readonly stages: readonly Stage[];
  /** On a branch: its own commits, and what was before the first, which are steps too if they are not squashed. */
  readonly commits?: readonly Stage[];
  /** What people should know of the comparison; undefined when it is as it should be. */
  readonly note?: string;
  readonly repository?: Repository | undefined;
}

/** There is nothing to compare with, and that is wrong. */
export class NoEarlierContract extends Error {
  override readonly name = 'NoEarlierContract';
}

/** Where branches leave from, the first that there is; in full, so that no tag is taken for one. */
const TRUNKS = ['remotes/origin/main', 'remotes/origin/HEAD', 'remotes/origin/master', 'heads/main', 'heads/master'].map(
  (name) => `refs/${name}`,
);
/** Commits of the main line that are looked at when there is no release, at most. */
const MAX_COMMITS = 300;

/**
 * @param now the present contract
 * @param against a file or a git ref to compare with instead
 * @throws {NoEarlierContract}
 */
export function earlierContracts(files: ContractFiles, now: ContractDocument, against: string | undefined): Earlier {
  const repository = Repository.of(files.contract);
  if (against !== undefined) {
    const stage = isFile(against) ? stageOfFile(against) : stageOfRef(against, files, now, repository);
    return { steps: [stage], stages: [stage], repository };
  }
  if (repository === undefined) {
    return { ...itself(files), note: 'there is no git history: the contract is compared with its snapshot, which any change may renew' };
  }
  const head = repository.commit('HEAD') as string;
  const trunk = TRUNKS.find((ref) => repository.commit(ref) !== undefined);
  const base = trunk === undefined ? head : repository.mergeBase('HEAD', trunk);
  const history = new History(repository, files, now);
  const stages = history.until(base ?? head);
  const note = noteOn(repository, trunk, base);
  const last = stages.at(-1);
  if (last !== undefined && (base === undefined || base === head)) return { steps: stages, stages, repository, ...note };
  if (last !== undefined) return { steps: [last], stages, commits: history.between(base as string, head), repository, ...note };
  const isNew = 'no earlier commit has this contract: there is nothing that it could break';
  return { ...itself(files), repository, note: note?.note ?? isNew };
}

function noteOn(repository: Repository, trunk: string | undefined, base: string | undefined): { note: string } | undefined {
  if (repository.isShallow)
    return { note: 'this clone is shallow, and earlier commits were not looked at: get them with git fetch --unshallow' };
  if (base === undefined) return { note: `HEAD and ${trunk} have no commit in common: each commit was compared with its parent` };
  return undefined;
}

/** Where nothing tells what was, the snapshot itself. */
function itself(files: ContractFiles): Earlier {
  const text = textOf(files.snapshot);
  if (text === undefined) return { steps: [], stages: [] };
  const stage = { name: shown(files.snapshot), document: parsed(shown(files.snapshot), text), ledger: linesOf(textOf(files.ledger)) };
  return { steps: [stage], stages: [stage] };
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

/** The contract in the commits of a repository. */
class History {
  readonly #repository: Repository;
  readonly #path: string;
  readonly #now: ContractDocument;

  constructor(repository: Repository, files: ContractFiles, now: ContractDocument) {
    this.#repository = repository;
    this.#path = repository.pathOf(files.snapshot);
    this.#now = now;
  }

  /** The contract since the last release before `commit`. A commit without a snapshot is passed over: that the file was gone for a while changes nothing. */
  until(commit: string): Stage[] {
    const release = this.#repository.releaseBefore(commit);
    const from = release === undefined ? undefined : this.#repository.commit(release);
    return this.#stages([...(from === undefined ? [] : [from]), ...this.#commits(from, commit), commit]);
  }

  /** The contract in the commits after one up to another, and before the first of them. */
  between(after: string, until: string): Stage[] {
    const commits = this.#commits(after, until);
    return commits.length === 0 ? [] : this.#stages([`${commits[0]}^`, ...commits]);
  }

  /** Those that may have changed the snapshot. */
  #commits(after: string | undefined, until: string): string[] {
    const pathspecs = [this.#path, ledgerBeside(this.#path), '*snapshot.json', '*.ledger.jsonl'];
    return this.#repository.commits(after, until, pathspecs, MAX_COMMITS);
  }

  #stages(commits: readonly string[]): Stage[] {
    const all = [...new Set(commits)];
    const contents = this.#repository.contents(all.map((each) => `${each}:${this.#path}`));
    return all.flatMap((each, index) => {
      const path = contents[index] === undefined ? undefined : this.#path;
      const stage = this.at(each, path);
      return stage === undefined ? [] : [stage];
    });
  }

  /** @param path where the snapshot is known to be */
  at(commit: string, path = this.#find(commit)): Stage | undefined {
    if (path === undefined) return undefined;
    const [text, ledger] = this.#repository.contents([`${commit}:${path}`, `${commit}:${ledgerBeside(path)}`]);
    const document = text === undefined ? undefined : parsedOrNothing(text);
    const repository = this.#repository;
    return (
      document && {
        get name() {
          return repository.titleOf(commit);
        },
        document,
        ledger: linesOf(ledger),
      }
    );
  }

  /**
   * Where the snapshot was. It may have been elsewhere, under another name: there, where a contract of the present one's name was, or
   * the one that is no longer where it was.
   */
  #find(commit: string): string | undefined {
    const paths = this.#repository.filesWith('"x-drafts"', commit);
    if (paths.includes(this.#path)) return this.#path;
    const contents = this.#repository.contents(paths.map((path) => `${commit}:${path}`));
    const documents = paths.flatMap((path, index) => {
      const document = parsedOrNothing(contents[index] ?? '');
      return document === undefined ? [] : [{ path, name: document['x-name'] as string | undefined }];
    });
    const named = documents.filter(({ name }) => name === this.#now['x-name']);
    const candidates = named.length > 0 ? named : documents.filter(({ path }) => !this.#repository.isPresent(path));
    if (candidates.length < 2) return candidates[0]?.path;
    const known = this.#repository.earlierPathOf(this.#path, commit);
    if (candidates.some(({ path }) => path === known)) return known;
    const all = candidates.map(({ path }) => path).join(', ');
    throw new NoEarlierContract(
      `${this.#path} may have been any of these in ${commit.slice(0, 12)}: ${all}; say which with --against <commit>:<path>`,
    );
  }
}

function parsedOrNothing(text: string): ContractDocument | undefined {
  try {
    return parseContractDocument(text);
  } catch {
    return undefined;
  }
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
