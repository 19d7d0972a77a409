/** A log that cannot be written ends no gateway. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { freePort } from '../../scripts/servers.ts';
import { ENVIRONMENT } from '../helpers/environment.ts';
import { SECRET } from '../helpers/gateway.ts';
import { processToken } from '../helpers/process.ts';
import { jobStarted } from '../helpers/samples.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

test.each(['json', 'pretty'])('a gateway whose standard output takes nothing goes on, and says so once: %s', async (format) => {
  const port = await freePort();
  const full = openSync('/dev/full', 'w');
  const env = {
    ...ENVIRONMENT,
    COURIER_PORT: String(port),
    COURIER_JWT_SECRET: SECRET,
    COURIER_LOG: 'memory:',
    COURIER_LOG_FORMAT: format,
  };
  const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', full, 'pipe'] });
  closeSync(full);
  const exited = once(child, 'exit');
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  try {
    const url = `http://127.0.0.1:${port}`;
    await expect.poll(() => fetch(`${url}/livez`).then(({ status }) => status, String), { timeout: 10_000 }).toBe(200);
    const headers = { authorization: `Bearer ${await processToken('forge', 'service')}`, 'content-type': 'application/json' };
    const publish = () => fetch(`${url}/publish`, { method: 'POST', headers, body: JSON.stringify(jobStarted()) });
    for (let n = 0; n < 20; n += 1) expect((await publish()).status).toBe(201);
    expect(stderr).toMatch(/^courier: the log cannot be written to standard output \(ENOSPC[^\n]*\n$/);
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
});
