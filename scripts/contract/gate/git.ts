/** What the gate asks git. Nothing here changes a repository. */
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, sep } from 'node:path';

/** A bound that no contract reaches. */
const MAX_BYTES = 256 * 1024 * 1024;

const QUIET: ExecFileSyncOptionsWithStringEncoding = { encoding: 'utf8', maxBuffer: MAX_BYTES, stdio: ['ignore', 'pipe', 'ignore'] };

/** A commit with a tag such as `v1.2.0`. */
export interface Release {
  readonly commit: string;
  /** When an annotated tag says that it was made; of another, when its commit was; in milliseconds. */
  readonly madeAt: number;
}

export interface Rename {
  readonly from: string;
  readonly to: string;
}

/** How git tells renames: of files that have so much in common. */
const RENAMES = ['--name-status', '--find-renames=30%'];

/** There is a repository, and git cannot read it. */
export class UnreadableRepository extends Error {
  override readonly name = 'UnreadableRepository';

  constructor(reason: string) {
    super(`the git history cannot be read: ${reason}`);
  }
}

/** Of a repository that is there and broken git says where it is. */
const NO_REPOSITORY = /not a git repository \(or any /;

export class Repository {
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
  }

  /**
   * The repository that a file is in; undefined where there is none, or none with a commit, or no git.
   *
   * @throws {UnreadableRepository} where git refuses to look at it, as it does with what belongs to another user
   */
  static of(file: string): Repository | undefined {
    const args = ['-C', dirname(file), 'rev-parse', '--show-toplevel'];
    const { stdout, stderr, status, error } = spawnSync('git', args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
    if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT' || NO_REPOSITORY.test(stderr)) return undefined;
    if (status !== 0) throw new UnreadableRepository(firstLine(stderr));
    const repository = new Repository(realpathSync(stdout.trimEnd()));
    return repository.commit('HEAD') === undefined ? undefined : repository;
  }

  /** The path of a file as git writes it. */
  pathOf(file: string): string {
    return relative(this.#root, join(realpathSync(dirname(file)), basename(file))).replaceAll(sep, '/');
  }

  /** The file at a path as git writes it. */
  file(path: string): string {
    return join(this.#root, path);
  }

  /** Whether the working tree has the file. */
  isPresent(path: string): boolean {
    return existsSync(this.file(path));
  }

  /** The commit that `ref` names. */
  commit(ref: string): string | undefined {
    return this.#line('rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`);
  }

  get isShallow(): boolean {
    return this.#line('rev-parse', '--is-shallow-repository') === 'true';
  }

  mergeBase(a: string, b: string): string | undefined {
    return this.#line('merge-base', a, b);
  }

  /** The commit of the last release on the first parents' line to `ref`: a tag on what was merged says nothing of what else was. */
  lastRelease(ref: string): string | undefined {
    const tag = this.#line('describe', '--tags', '--first-parent', '--abbrev=0', '--match', 'v[0-9]*', ref);
    return tag && this.commit(`refs/tags/${tag}`);
  }

  /** The releases at `ref` and before it, also those of branches that were merged, the last first. */
  releases(ref: string): Release[] {
    const order = ['--sort=-version:refname', '--sort=-creatordate'];
    const format = '--format=%(creatordate:unix) %(refname)';
    const lines = linesIn(this.#bytes(['for-each-ref', `--merged=${ref}`, ...order, format, 'refs/tags/v[0-9]*']));
    return lines.flatMap((line) => {
      const [madeAt, name] = line.split(' ', 2) as [string, string];
      const commit = this.commit(name);
      return commit === undefined ? [] : [{ commit, madeAt: Number(madeAt) * 1000 }];
    });
  }

  /** The last commit of the first parents' line to `until` that was there at a time; undefined when the line began later. */
  commitAt(time: number, until: string): string | undefined {
    return this.#line('rev-list', '--first-parent', '--max-count=1', `--before=${new Date(time).toISOString()}`, until);
  }

  /** The commits of the first parents' line from `after` to `until` that touch one of `pathspecs`, oldest first. */
  commits(after: string | undefined, until: string, pathspecs: readonly string[]): string[] {
    return this.#revisions('--reverse', ...rangeOf(after, until), '--', ...pathspecs);
  }

  /** The first commit from `after` to `until` that adds `text` to a file of `pathspec`, or takes it away. */
  firstWith(text: string, after: string | undefined, until: string, pathspec: string): string | undefined {
    const log = ['log', '--first-parent', '-m', '--format=%H', '--no-patch', '--no-renames', '--no-show-signature', `-S${text}`];
    return linesIn(this.#bytes([...log, ...rangeOf(after, until), '--', pathspec])).at(-1);
  }

  /** Whether the first parents' line from `after` to `until` has a commit whose parents a shallow clone left out. */
  isCutOff(after: string | undefined, until: string): boolean {
    const first = this.#revisions('--max-parents=0', ...rangeOf(after, until));
    return first.some((commit) => /^parent /m.test(this.#text('cat-file', 'commit', commit)?.split('\n\n', 1)[0] ?? ''));
  }

  /** The names of the contents of `<commit>:<path>`s; undefined where there is no such file. */
  objects(names: readonly string[]): (string | undefined)[] {
    if (names.length === 0) return [];
    const lines = this.#bytes(['cat-file', '--batch-check'], linesOf(names)).toString().trimEnd().split('\n');
    return lines.map((line) => /^([0-9a-f]{40,64}) blob \d+$/.exec(line)?.[1]);
  }

  /** The contents of `<commit>:<path>`s; undefined where there is no such file. */
  contents(names: readonly string[]): (string | undefined)[] {
    if (names.length === 0) return [];
    let rest = this.#bytes(['cat-file', '--batch'], linesOf(names));
    return names.map(() => {
      const end = rest.indexOf(10);
      const [, kind, size] = rest.toString('utf8', 0, end).split(' ');
      const length = kind === 'blob' ? Number(size) : undefined;
      const content = length === undefined ? undefined : rest.toString('utf8', end + 1, end + 1 + length);
      rest = rest.subarray(length === undefined ? end + 1 : end + 1 + length + 1);
      return content;
    });
  }

  /** The files of `pathspec` in a commit that contain `text`. */
  filesWith(text: string, commit: string, pathspec: string): string[] {
    const found = this.#text('grep', '--name-only', '-z', '--fixed-strings', '-e', text, commit, '--', pathspec);
    return (found ?? '').split('\0').flatMap((name) => (name === '' ? [] : [name.slice(commit.length + 1)]));
  }

  /** The files of `pathspec` in the working tree, but for those that git is told to ignore. */
  presentFiles(pathspec: string): string[] {
    const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', pathspec];
    const files = new Set(this.#bytes(args).toString().split('\0'));
    return [...files].filter((path) => path !== '' && this.isPresent(path));
  }

  /** The renames among the files of `pathspec` on the first parents' line to HEAD, the last first. */
  renames(pathspec: string): Rename[] {
    const log = ['log', '-z', '--first-parent', '-m', '--format=', '--no-show-signature', '--diff-filter=R'];
    return renamesIn(this.#bytes([...log, ...RENAMES, 'HEAD', '--', pathspec]));
  }

  /** When each line of a file of HEAD came onto the first parents' line, by its text: `2026-11-29`. */
  datesOfLines(path: string): ReadonlyMap<string, string> {
    const dates = new Map<string, string>();
    const times = new Map<string, string>();
    let commit = '';
    for (const line of this.#text('blame', '--first-parent', '--porcelain', 'HEAD', '--', path)?.split('\n') ?? []) {
      if (line.startsWith('\t')) dates.set(line.slice(1), times.get(commit) as string);
      else if (/^[0-9a-f]{40,64} /.test(line)) commit = line.split(' ', 1)[0] as string;
      else if (line.startsWith('committer-time ')) times.set(commit, new Date(Number(line.slice(15)) * 1000).toISOString().slice(0, 10));
    }
    return dates;
  }

  /** How a commit is called before people: the start of its name, and its subject. */
  titleOf(commit: string): string {
    return this.#line('log', '-1', '--format=%h %s', commit) ?? commit.slice(0, 12);
  }

  #revisions(...args: string[]): string[] {
    return linesIn(this.#bytes(['rev-list', '--first-parent', ...args]));
  }

  /** @throws {UnreadableRepository} as what is asked for is there, unless the history is not. */
  #bytes(args: readonly string[], input = ''): Buffer {
    const { stdout, stderr, status, error } = spawnSync('git', ['-C', this.#root, ...args], { input, maxBuffer: MAX_BYTES });
    if (status !== 0) throw new UnreadableRepository(error?.message ?? firstLine(stderr.toString()));
    return stdout;
  }

  #line(...args: string[]): string | undefined {
    return this.#text(...args)?.split('\n', 1)[0] || undefined;
  }

  #text(...args: string[]): string | undefined {
    try {
      return execFileSync('git', ['-C', this.#root, ...args], QUIET);
    } catch {
      return undefined;
    }
  }
}

/** Which files of one set git takes for files of another under new names. Both are texts by path. */
export function renamesBetween(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): Rename[] {
  const folder = mkdtempSync(join(tmpdir(), 'courier-contract-'));
  try {
    for (const [side, texts] of Object.entries({ before, now })) {
      for (const [path, text] of texts) {
        const file = join(folder, side, path);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, text);
      }
    }
    const { stdout, status, error } = spawnSync('git', ['diff', '-z', '--no-index', '--diff-filter=R', ...RENAMES, 'before', 'now'], {
      cwd: folder,
    });
    if (error !== undefined || (status ?? 2) > 1) throw new UnreadableRepository(error?.message ?? 'git diff --no-index fails');
    const pathIn = (path: string) => path.slice(path.indexOf('/') + 1);
    return renamesIn(stdout).map(({ from, to }) => ({ from: pathIn(from), to: pathIn(to) }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function renamesIn(output: Buffer): Rename[] {
  const parts = output.toString().split('\0');
  return parts.flatMap((part, index) =>
    /^\n?R\d+$/.test(part) ? [{ from: parts[index + 1] as string, to: parts[index + 2] as string }] : [],
  );
}

function linesIn(output: Buffer): string[] {
  return output
    .toString()
    .split('\n')
    .filter((line) => line !== '');
}

function linesOf(names: readonly string[]): string {
  return names.map((name) => `${name}\n`).join('');
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0] as string;
}

function rangeOf(after: string | undefined, until: string): string[] {
  return after === undefined ? [until] : [until, `^${after}`];
}
