/** A git repository with a contract of its own, in which the command line is run. */
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect } from 'vitest';
import { ENVIRONMENT } from './environment.ts';
import { temporaryFolder } from './folder.ts';

const CLI = fileURLToPath(new URL('../../scripts/courier.ts', import.meta.url));

export interface Result {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** A contract that says little, for tests to change. */
export const CONTRACT = `
import { defineContract, defineService, earlierVersion, id, text, z } from '@lumiere/courier/contract';

const shop = defineService({
  events: {
    'order.placed': {
      on: ['order'],
      description: 'An order was placed.',
      data: z.strictObject({ order_id: id, share: z.number().min(0).max(1), note: text.optional() }),
      examples: [{ order_id: 'o1', share: 0.5 }],
    },
    'order.shipped': {
      on: ['order', 'desk'],
      description: 'An order is on its way.',
      data: z.strictObject({ order_id: id }),
      examples: [{ order_id: 'o1' }],
    },
  },
});
void [earlierVersion];

export default defineContract({ name: 'shop', families: { order: { id: 'order_id' }, desk: { id: 'desk_id' } }, services: { shop } });
`;

/** Two changes that break subscribers, and no stored event. */
export const BREAK = ["on: ['order'],", "on: ['order', 'desk'],"] as const;
export const OTHER_BREAK = [
  "on: ['order', 'desk'],\n      description: 'An order is on",
  "on: ['order'],\n      description: 'An order is on",
] as const;
/** `date` of so many days ago. */
export const ago = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);
/** One that breaks nobody. */
export const COMPATIBLE = ['note: text.optional()', 'note: text.optional(), gift: z.boolean().optional()'] as const;

export type Repository = ReturnType<typeof repositoryIn>;

/** Everything is committed on `main`, which is the `origin/main` that branches are compared with. */
export async function contractRepository(): Promise<Repository> {
  made ??= makeFirst();
  await made;
  return copyOf(first);
}

/** Another repository that is as this one is now. */
export function copyOf({ path }: { readonly path: string }): Repository {
  const folder = temporaryFolder();
  cpSync(path, folder.path, { recursive: true });
  return repositoryIn(folder);
}

/** The repository that all others of a test file are copies of. */
const first = temporaryFolder();
let made: Promise<void> | undefined;
afterAll(() => first[Symbol.dispose]());

async function makeFirst(): Promise<void> {
  const repository = repositoryIn(first);
  repository.git('init', '--quiet');
  repository.write('contract.ts', CONTRACT);
  expect(await repository.renew()).toMatchObject({ code: 0 });
  repository.commit('The contract');
  repository.push();
}

function repositoryIn(folder: ReturnType<typeof temporaryFolder>) {
  const env = { ...ENVIRONMENT, NO_COLOR: '1', GIT_CONFIG_GLOBAL: '/dev/null' };
  const git = (...args: string[]) => {
    const identity = ['-c', 'user.name=t', '-c', 'user.email=t@localhost', '-c', 'init.defaultBranch=main'];
    return execFileSync('git', ['-C', folder.path, ...identity, ...args], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  };
  /** @param date of what it makes; now when undefined */
  const gitOn = (date: string | undefined, ...args: string[]) => {
    if (date !== undefined) Object.assign(env, { GIT_COMMITTER_DATE: `${date}T12:00:00Z` });
    git(...args);
    Reflect.deleteProperty(env, 'GIT_COMMITTER_DATE');
  };
  const courier = (args: readonly string[], cwd = folder.path, more: Record<string, string> = {}) =>
    new Promise<Result>((resolve) => {
      execFile(process.execPath, [CLI, 'contract', ...args], { cwd, env: { ...env, ...more } }, (error, stdout, stderr) =>
        resolve({ code: error?.code ?? 0, stdout, stderr }),
      );
    });
  const write = (path: string, text: string) => {
    mkdirSync(dirname(folder.file(path)), { recursive: true });
    writeFileSync(folder.file(path), text);
  };
  const of = (command: string, ...args: string[]) => courier([command, '--contract', 'contract.ts', ...args]);
  const repository = {
    path: folder.path,
    file: folder.file,
    git,
    courier,
    write,
    read: (path: string) => readFileSync(folder.file(path), 'utf8'),
    remove: (path: string) => rmSync(folder.file(path), { recursive: true }),
    edit: (path: string, from: string, to: string) => {
      const source = readFileSync(folder.file(path), 'utf8');
      expect(source).toContain(from);
      write(
        path,
        source.replace(from, () => to),
      );
    },
    change: ([from, to]: readonly [string, string]) => repository.edit('contract.ts', from, to),
    check: (...args: string[]) => of('check', ...args),
    renew: (...args: string[]) => of('renew', ...args),
    /** As somebody does who does not want to be asked. */
    overwriteSnapshot: async () => {
      const { stdout } = await of('export');
      write('contract.snapshot.json', stdout);
    },
    /** The lines of the ledger. */
    ledger: () => {
      try {
        const text = readFileSync(folder.file('contract.ledger.jsonl'), 'utf8');
        return text
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line));
      } catch {
        return [];
      }
    },
    commit: (message: string, date?: string) => {
      git('add', '--all');
      gitOn(date, 'commit', '--quiet', '--allow-empty', '-m', message);
    },
    /** Tags what is checked out; the tag says when. */
    release: (version: string, date?: string) => gitOn(date, 'tag', '--annotate', '-m', version, version),
    /** A clone of the repository within it, as `git clone` makes it with these options. */
    clone: (...options: string[]) => {
      git('clone', '--quiet', ...options, `file://${folder.path}`, folder.file('clone'));
      return repositoryIn({ path: folder.file('clone'), file: (path) => folder.file(`clone/${path}`), [Symbol.dispose]: () => {} });
    },
    branch: (name: string) => git('switch', '--quiet', '-c', name),
    /** Makes what is checked out what everybody has. */
    push: () => git('update-ref', 'refs/remotes/origin/main', 'HEAD'),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
  return repository;
}
