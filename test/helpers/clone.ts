/** A clone of the tree as it is, with everything committed, for tests of what is done in one. It uses the packages that are installed here. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const INSTALLED = ['node_modules', 'client/python/.venv'];

export function cloneTree(path: string): { readonly commit: () => void } {
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], {
      cwd: path,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' });
  for (const file of listed.split('\0').filter((name) => name !== '' && existsSync(join(ROOT, name)))) {
    mkdirSync(dirname(join(path, file)), { recursive: true });
    cpSync(join(ROOT, file), join(path, file));
  }
  for (const folder of INSTALLED) symlinkSync(join(ROOT, folder), join(path, folder));
  git('init', '--quiet');
  // What is ignored as a folder is a link here.
  appendFileSync(join(path, '.git/info/exclude'), INSTALLED.map((folder) => `/${folder}\n`).join(''));
  const commit = () => {
    git('add', '--all');
    git('commit', '--quiet', '--message', 'The tree as it is');
  };
  commit();
  return { commit };
}
