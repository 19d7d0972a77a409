/** Temporary folders of scripts and tests: those of a process that was killed go with the next one. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ENVIRONMENT } from '../helpers/environment.ts';
import { temporaryFolder } from '../helpers/folder.ts';

const MODULE = new URL('../../scripts/temporary.ts', import.meta.url).href;
const MAKE = `import { makeTemporaryFolder } from '${MODULE}'; console.log(makeTemporaryFolder('test'));`;
const ARGS = ['--input-type=module', '--eval'];

test('a folder of a process that was killed is removed by the next, and no other', () => {
  using folder = temporaryFolder();
  const env = { ...ENVIRONMENT, TMPDIR: folder.path };
  const { pid, stdout } = spawnSync(process.execPath, [...ARGS, `${MAKE} process.kill(process.pid, 'SIGKILL');`], {
    env,
    encoding: 'utf8',
  });
  expect(stdout.trim()).toMatch(new RegExp(`^${folder.path}/courier-test-${pid}-\\w{6}$`));
  expect(existsSync(stdout.trim())).toBe(true);
  const others = [`courier-test-${process.pid}-abcdef`, `courier-${pid}`, `other-test-${pid}-abcdef`];
  for (const name of others) mkdirSync(folder.file(name));
  const made = execFileSync(process.execPath, [...ARGS, MAKE], { env, encoding: 'utf8' }).trim();
  expect(readdirSync(folder.path).map(folder.file).sort()).toEqual([...others.map(folder.file), made].sort());
});
