/** What the gate asks git. Nothing here changes a repository. */
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';

/** A bound that no contract reaches. */
const MAX_BYTES = 256 * 1024 * 1024;

const QUIET: ExecFileSyncOptionsWithStringEncoding = { encoding: 'utf8', maxBuffer: MAX_BYTES, stdio: ['ignore', 'pipe', 'ignore'] };

export class Repository {
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
  }

  /** The repository that a file is in; undefined where there is none, or none with a commit. */
  static of(file: string): Repository | undefined {
    try {
      const root = execFileSync('git', ['-C', dirname(file), 'rev-parse', '--show-toplevel'], QUIET).trimEnd();
      const repository = new Repository(realpathSync(root));
      return repository.commit('HEAD') === undefined ? undefined : repository;
    } catch {
      return undefined;
    }
  }

  /** The path of a file as git writes it. */
  pathOf(file: string): string {
    return relative(this.#root, join(realpathSync(dirname(file)), basename(file))).replaceAll(sep, '/');
  }

  /** Whether the working tree has the file. */
  isPresent(path: string): boolean {
    return existsSync(join(this.#root, path));
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

  /** The last tag such as `v1.2.0` before `commit`. */
  releaseBefore(commit: string): string | undefined {
    return this.#line('describe', '--tags', '--abbrev=0', '--match', 'v[0-9]*', `${commit}^`);
  }

  /** The newest `limit` commits of the first parents' line from `after` to `until` that touch one of `pathspecs`, oldest first. */
  commits(after: string | undefined, until: string, pathspecs: readonly string[], limit: number): string[] {
    const range = after === undefined ? [until] : [until, `^${after}`];
    const text = this.#text('rev-list', '--first-parent', '--reverse', `--max-count=${limit}`, ...range, '--', ...pathspecs);
    return text?.split('\n').filter((line) => line !== '') ?? [];
  }

  /** The contents of `<commit>:<path>`s; undefined where there is no such file. */
  contents(names: readonly string[]): (string | undefined)[] {
    if (names.length === 0) return [];
    const input = names.map((name) => `${name}\n`).join('');
    let rest: Buffer = execFileSync('git', ['-C', this.#root, 'cat-file', '--batch'], { input, maxBuffer: MAX_BYTES });
    return names.map(() => {
      const end = rest.indexOf(10);
      const [, kind, size] = rest.toString('utf8', 0, end).split(' ');
      const length = kind === 'blob' ? Number(size) : undefined;
      const content = length === undefined ? undefined : rest.toString('utf8', end + 1, end + 1 + length);
      rest = rest.subarray(length === undefined ? end + 1 : end + 1 + length + 1);
      return content;
    });
  }

  /** The JSON files of a commit that contain `text`. */
  filesWith(text: string, commit: string): string[] {
    const found = this.#text('grep', '--name-only', '-z', '--fixed-strings', '-e', text, commit, '--', '*.json');
    return (found ?? '').split('\0').flatMap((name) => (name === '' ? [] : [name.slice(commit.length + 1)]));
  }

  /** Where git thinks that the file at `path` was in `commit`, when it was moved since. */
  earlierPathOf(path: string, commit: string): string | undefined {
    const text = this.#text('diff', '--name-status', '-z', '--find-renames=30%', '--diff-filter=R', commit, 'HEAD', '--', '*.json');
    const parts = (text ?? '').split('\0');
    const index = parts.indexOf(path);
    return index > 1 && parts[index - 2]?.startsWith('R') ? parts[index - 1] : undefined;
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
