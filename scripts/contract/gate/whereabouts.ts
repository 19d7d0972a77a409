/**
 * Where the snapshot of a contract was in earlier commits. It is found by its path; by the renames that git sees on the way from there;
 * and among the snapshots that are gone since by its contract's name. What another contract of the working tree has, or came from, is
 * never taken for it: a repository may have many contracts, and new ones.
 */
import { readFileSync } from 'node:fs';
import type { ContractDocument } from '../../../src/contract/document.ts';
import { contractsOf } from './files.ts';
import { type Repository, renamesBetween } from './git.ts';
import { NoEarlierContract, parsedOrNothing } from './stage.ts';

/** How snapshots are called: beside their contracts, and before there were several. */
export const SNAPSHOTS = '*snapshot.json';

/** What every snapshot contains. */
export const DRAFTS = '"x-drafts"';

export class Whereabouts {
  readonly #repository: Repository;
  readonly #path: string;
  readonly #now: ContractDocument;
  #known: Known | undefined;

  /** @param path of the snapshot, which the working tree need not have @param now the present contract */
  constructor(repository: Repository, path: string, now: ContractDocument) {
    this.#repository = repository;
    this.#path = path;
    this.#now = now;
  }

  /** @throws {NoEarlierContract} when it may have been one of several, or one that was left behind */
  pathIn(commit: string): string | undefined {
    const there = this.#snapshotsIn(commit);
    if (there.includes(this.#path)) return this.#path;
    this.#known ??= this.#look();
    return this.#known.own.find((path) => there.includes(path)) ?? this.#elsewhere(commit, there, this.#known.others);
  }

  #look(): Known {
    const repository = this.#repository;
    const renames = repository.renames(SNAPSHOTS);
    const others = repository
      .presentFiles(SNAPSHOTS)
      .filter((path) => path !== this.#path && contractsOf(path).some((file) => repository.isPresent(file)))
      .flatMap((path) => {
        const document = parsedOrNothing(readFileSync(repository.file(path), 'utf8'));
        return document === undefined ? [] : [{ path, document, paths: pathsOf(path, renames) }];
      });
    const own = pathsOf(this.#path, renames);
    const there = this.#snapshotsIn('HEAD');
    // Nobody has committed yet where it is now.
    const last = own.some((path) => there.includes(path)) ? undefined : this.#elsewhere('HEAD', there, others);
    return { own: last === undefined ? own : [...own, ...pathsOf(last, renames)], others };
  }

  #elsewhere(commit: string, there: readonly string[], others: readonly Other[]): string | undefined {
    const theirs = new Set(others.map(({ paths }) => paths.find((path) => there.includes(path))));
    const free = there.filter((path) => !theirs.has(path));
    this.#refuseLeftBehind(commit, free);
    const gone = this.#documentsIn(
      commit,
      free.filter((path) => !this.#repository.isPresent(path)),
    );
    if (gone.length === 0) return undefined;
    const newcomers = [
      { path: this.#path, document: this.#now },
      ...others.filter(({ paths }) => !paths.some((path) => there.includes(path))),
    ];
    const became = renamesBetween(textsOf(gone), textsOf(newcomers));
    const moved = became.find(({ to }) => to === this.#path);
    if (moved !== undefined) return moved.from;
    const isNamed = ({ document }: Found) => document['x-name'] === this.#now['x-name'];
    const named = gone.filter((found) => isNamed(found) && !became.some(({ from }) => from === found.path));
    if (named.length === 0) return undefined;
    const [first] = named as [Found, ...Found[]];
    const rivals = newcomers.filter(isNamed);
    if (named.length === 1 && rivals.length === 1) return first.path;
    const [may, been] = named.length > 1 ? [[this.#path], named] : [rivals.map(({ path }) => path), named];
    throw new NoEarlierContract(
      `${may.join(' or ')} may have been ${listed(been)} in ${commit.slice(0, 12)}: say which with --against <commit>:<path>`,
    );
  }

  /** A snapshot without its contract would be compared with nothing, as the contract goes on elsewhere. */
  #refuseLeftBehind(commit: string, paths: readonly string[]): void {
    const alone = paths.filter(
      (path) => this.#repository.isPresent(path) && !contractsOf(path).some((file) => this.#repository.isPresent(file)),
    );
    for (const path of alone) {
      const files = contractsOf(path);
      const contract =
        files[this.#repository.objects(files.map((file) => `${commit}:${file}`)).findIndex((object) => object !== undefined)];
      if (contract === undefined) continue;
      throw new NoEarlierContract(
        `${path} is there, and its contract is not, which was ${contract} in ${commit.slice(0, 12)}: move it to ${this.#path} if this is the ` +
          'contract (git mv), remove it if the contract is gone, or say what to compare with by --against <commit>:<path>',
      );
    }
  }

  #snapshotsIn(commit: string): string[] {
    return this.#repository.filesWith(DRAFTS, commit, SNAPSHOTS);
  }

  #documentsIn(commit: string, paths: readonly string[]): Found[] {
    const contents = this.#repository.contents(paths.map((path) => `${commit}:${path}`));
    return paths.flatMap((path, index) => {
      const document = parsedOrNothing(contents[index] ?? '');
      return document === undefined ? [] : [{ path, document }];
    });
  }
}

interface Found {
  readonly path: string;
  readonly document: ContractDocument;
}

/** A contract of the working tree. */
interface Other extends Found {
  /** Where its snapshot is, and where it was before, the last place first. */
  readonly paths: readonly string[];
}

interface Known {
  /** Where the snapshot is, and where it was before, the last place first. */
  readonly own: readonly string[];
  readonly others: readonly Other[];
}

/** @param renames the last first */
function pathsOf(path: string, renames: readonly { readonly from: string; readonly to: string }[]): string[] {
  const paths = [path];
  for (const { from, to } of renames) if (to === paths.at(-1)) paths.push(from);
  return paths;
}

/** In one form, as git compares lines. */
function textsOf(found: readonly Found[]): Map<string, string> {
  return new Map(found.map(({ path, document }) => [path, `${JSON.stringify(document, null, 2)}\n`]));
}

function listed(found: readonly Found[]): string {
  return found.map(({ path }) => path).join(' or ');
}
