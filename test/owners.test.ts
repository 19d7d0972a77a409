/** Files that another user has put beside a gateway's, as a restore by root does: the start names them, and both users. */
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { temporaryFolder } from './helpers/folder.ts';
import { startProcess } from './helpers/process.ts';
import { filledFile } from './log/sqlite/filled-file.ts';

const NOBODY = 65_534;
const isRootOnLinux = process.platform === 'linux' && process.getuid?.() === 0;

test.runIf(isRootOnLinux).for([
  ['courier.db', 0o600, /^COURIER_LOG: the event log .* cannot be opened: /],
  ['courier.db', 0o644, /^COURIER_LOG: the event log .* cannot be opened: /],
  ['courier.db-wal', 0o600, /^COURIER_LOG: the event log .* cannot be opened: /],
  ['revocations.json', 0o600, /^the revocations beside the log of COURIER_LOG cannot be read: /],
  ['development-secret', 0o600, /^the secret of development cannot be read: /],
] as const)('%s of root, with mode %i', { timeout: 30_000 }, async ([name, mode, what]) => {
  using folder = temporaryFolder();
  const path = folder.file('courier.db');
  await filledFile(path, 1);
  for (const owned of [folder.path, path]) chownSync(owned, NOBODY, NOBODY);
  const file = folder.file(name);
  if (file !== path) writeFileSync(file, '[]');
  chownSync(file, 0, 0);
  chmodSync(file, mode);
  const starting = startProcess(
    { COURIER_LOG: `sqlite:${path}`, ...(name === 'development-secret' && { COURIER_JWT_SECRET: '' }) },
    { under: ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] },
  );
  const error: unknown = await starting.then(
    (gateway) => gateway[Symbol.asyncDispose](),
    (reason: unknown) => reason,
  );
  const [, told = ''] = /^the gateway ended with 1: courier: cannot start: (.*)$/.exec((error as Error | undefined)?.message ?? '') ?? [];
  expect(told).toMatch(what);
  expect(told.endsWith(`${file} is owned by user 0, and this process is user ${NOBODY}: chown it`)).toBe(true);
});
