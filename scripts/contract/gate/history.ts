/**
 * The contract in the commits of a repository. What is asked of commits that a shallow clone does not have is an error, as nothing
 * must pass because it was not looked at.
 */
import type { ContractDocument } from '../../../src/contract/document.ts';
import { type ContractFiles, ledgerBeside } from './files.ts';
import type { Release, Repository } from './git.ts';
import { linesOf } from './ledger.ts';
import { NoEarlierContract, parsedOrNothing, type Stage } from './stage.ts';
import { DRAFTS, SNAPSHOTS, Whereabouts } from './whereabouts.ts';

/** Different contracts that are compared with each other, at most: all of them are in memory. */
const MAX_STAGES = 1000;

/** What a shallow clone lacks, and how it gets it. */
export const SHALLOW =
  'this clone is shallow, and the commits that the contract has to be compared with are not in it: git fetch --unshallow, ' +
  "or fetch-depth: 0 in GitHub's checkout; the check can also be told what to compare with by --against";

/** A release, and the contract that it serves. */
export interface ReleasedStage {
  /** As a tag says, or the commit of a tag that does not; in milliseconds. */
  readonly madeAt: number;
  /** Undefined when the release had no contract. */
  readonly stage: Stage | undefined;
}

export class History {
  readonly #repository: Repository;
  readonly #path: string;
  readonly #whereabouts: Whereabouts;
  readonly #known = new Map<string, Stage | undefined>();

  constructor(repository: Repository, files: ContractFiles, now: ContractDocument) {
    this.#repository = repository;
    this.#path = repository.pathOf(files.snapshot);
    this.#whereabouts = new Whereabouts(repository, this.#path, now);
  }

  /** The contract since the last release before `commit`. A commit without a snapshot is passed over: that the file was gone for a while changes nothing. */
  sinceRelease(commit: string): Stage[] {
    return this.#stages(this.#sinceRelease(commit));
  }

  /**
   * The contracts of which events may be stored: those since the last release, and those since `time`. The latter begin with the
   * release that ran then, as it ran until the next one was made, or where there was none yet with the last commit of then.
   */
  storedSince(time: number, commit: string): Stage[] {
    const releases = this.#releasesSince(time, commit);
    const oldest = releases.at(-1);
    if (oldest === undefined) return this.sinceRelease(commit);
    const from = oldest.madeAt <= time ? oldest.commit : this.#repository.commitAt(time, commit);
    const released = releases.map((release) => release.commit).reverse();
    return this.#stages([...this.#since(from, commit), ...released, ...this.#sinceRelease(commit)]);
  }

  /** The releases up to `commit` that ran since `time`, the last first: but for the oldest, each was made later. */
  releasedSince(time: number, commit: string): ReleasedStage[] {
    return this.#releasesSince(time, commit).map((release) => ({ madeAt: release.madeAt, stage: this.at(release.commit) }));
  }

  /** The contract in the commits after one up to another, and before the first of them. */
  between(after: string, until: string): Stage[] {
    const commits = this.#commits(after, until);
    return commits.length === 0 ? [] : this.#stages([`${commits[0]}^`, ...commits]);
  }

  #sinceRelease(commit: string): string[] {
    return this.#since(this.#repository.lastRelease(`${commit}^`), commit);
  }

  #releasesSince(time: number, commit: string): Release[] {
    const releases = this.#repository.releases(commit);
    const oldest = releases.findIndex(({ madeAt }) => madeAt <= time);
    return oldest === -1 ? releases : releases.slice(0, oldest + 1);
  }

  /** `from`, or the first commit that there is, to `until`. */
  #since(from: string | undefined, until: string): string[] {
    if (this.#repository.isCutOff(from, until)) throw new NoEarlierContract(SHALLOW);
    return [...(from === undefined ? [] : [from]), ...this.#commits(from, until), until];
  }

  /** Those that may have changed the snapshot, from the first commit with a contract on: other files are called like snapshots too. */
  #commits(after: string | undefined, until: string): string[] {
    const pathspecs = [this.#path, ledgerBeside(this.#path), SNAPSHOTS, '*.ledger.jsonl'];
    if (after !== undefined && this.#repository.filesWith(DRAFTS, after, SNAPSHOTS).length > 0) {
      return this.#repository.commits(after, until, pathspecs);
    }
    const first = this.#repository.firstWith(DRAFTS, after, until, SNAPSHOTS);
    return first === undefined ? [] : this.#repository.commits(this.#repository.commit(`${first}^`), until, pathspecs);
  }

  /** One for each commit that has another contract or ledger than the one before it. */
  #stages(commits: readonly string[]): Stage[] {
    const all = [...new Set(commits)];
    const snapshots = this.#repository.objects(all.map((each) => `${each}:${this.#path}`));
    const ledgers = this.#repository.objects(all.map((each) => `${each}:${ledgerBeside(this.#path)}`));
    const isSame = (a: number, b: number) => snapshots[a] !== undefined && snapshots[a] === snapshots[b] && ledgers[a] === ledgers[b];
    const different = all.flatMap((commit, index) =>
      isSame(index, index - 1) ? [] : [{ commit, isThere: snapshots[index] !== undefined }],
    );
    if (different.length > MAX_STAGES) {
      throw new NoEarlierContract(
        `more than ${MAX_STAGES} commits changed the contract since the last release, which is too much to compare: tag a release ` +
          '(v1.0.0) where one was made; the check can also be told what to compare with by --against',
      );
    }
    return different.flatMap(({ commit, isThere }) => {
      const stage = isThere ? this.at(commit, this.#path) : this.at(commit);
      return stage === undefined ? [] : [stage];
    });
  }

  /** @param path where the snapshot is known to be */
  at(commit: string, path?: string): Stage | undefined {
    const key = `${commit}:${path ?? ''}`;
    if (!this.#known.has(key)) this.#known.set(key, this.#read(commit, path ?? this.#whereabouts.pathIn(commit)));
    return this.#known.get(key);
  }

  #read(commit: string, path: string | undefined): Stage | undefined {
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
}
