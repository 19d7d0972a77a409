/** Temporary folders of scripts and tests: those of a process that was killed go with the next one. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { ENVIRONMENT } from '../helpers/environment.ts';
import { temporaryFolder } from '../helpers/folder.ts';

const MODULE = new URL('../../scripts/temporary.ts', import.meta.url).href;
const MAKE = `import { makeTemporaryFolder } from '${MODULE}'; console.log(makeTemporaryFolder('test'));`;
const ARGS = ['--input-type=module', '--eval'];
const OWN = `courier-temporary-${process.getuid?.() ?? ''}`;

/** Makes one in a process that ends, or is killed, without removing it. */
function makeAndLeave(tmpdir: string, how = '') {
  const env = { ...ENVIRONMENT, TMPDIR: tmpdir };
  const { stdout, stderr, status } = spawnSync(process.execPath, [...ARGS, `${MAKE} ${how}`], { env, encoding: 'utf8' });
  return { path: stdout.trim(), stderr, status };
}

test('a folder of a process that was killed is removed by the next, and no other', () => {
  using folder = temporaryFolder();
  const { path } = makeAndLeave(folder.path, "process.kill(process.pid, 'SIGKILL');");
  expect(dirname(path)).toBe(folder.file(OWN));
  expect(readdirSync(dirname(path))).toEqual([basename(path)]);
  const [kind, where, pid, start, random] = basename(path).split('-');
  const kept = [
    // Of a process that runs; in another container or before a restart; what nobody here has made.
    basename(temporaryFolderOfThisProcess(folder.path)),
    [kind, 'abcdef01', pid, start, random].join('-'),
    'backup-20261130-120000',
  ];
  for (const name of kept) mkdirSync(join(dirname(path), name), { recursive: true });
  const beside = [`courier-test-${pid}-abcdef`, 'courier-backup-20261130-120000'];
  for (const name of beside) mkdirSync(folder.file(name));
  // Its number was given out again.
  const reused = [kind, where, process.pid, '1', random].join('-');
  mkdirSync(join(dirname(path), reused));
  const made = makeAndLeave(folder.path).path;
  expect(readdirSync(dirname(path)).sort()).toEqual([...kept, basename(made)].sort());
  expect(readdirSync(folder.path).sort()).toEqual([...beside, OWN].sort());
});

/** The name that one of this process would have, made by a process that takes its place. */
function temporaryFolderOfThisProcess(tmpdir: string): string {
  const code = `process.env.TMPDIR = ${JSON.stringify(tmpdir)}; Object.defineProperty(process, 'pid', { value: ${process.pid} });`;
  return execFileSync(process.execPath, [...ARGS, `${code} ${MAKE}`], { env: ENVIRONMENT, encoding: 'utf8' }).trim();
}

test('the folder that they are in is of this user, or it is refused', () => {
  using folder = temporaryFolder();
  const own = folder.file(OWN);
  const refusal = { status: 1, stderr: expect.stringContaining('is not a folder of this user: remove it, or set TMPDIR') };
  mkdirSync(folder.file('elsewhere'));
  symlinkSync(folder.file('elsewhere'), own);
  expect(makeAndLeave(folder.path)).toMatchObject(refusal);
  expect(readdirSync(folder.file('elsewhere'))).toEqual([]);
  using other = temporaryFolder();
  writeFileSync(other.file(OWN), '');
  expect(makeAndLeave(other.path)).toMatchObject(refusal);
  using open = temporaryFolder();
  mkdirSync(open.file(OWN));
  chmodSync(open.file(OWN), 0o777);
  expect(makeAndLeave(open.path).status).toBe(0);
  expect(statSync(open.file(OWN)).mode & 0o777).toBe(0o711);
});
