/** The README's example: it is the file that it says, and prints what it says. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from './helpers/folder.ts';
import { startGateway } from './helpers/gateway.ts';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const EXAMPLE = 'scripts/demo/example.ts';

test('the example is the file, and runs as shown', async () => {
  const [, shown] = /```ts\n([\s\S]*?)```/.exec(read('README.md')) ?? [];
  expect(shown).toBe(read(EXAMPLE));
  await using gateway = await startGateway();
  using folder = temporaryFolder();
  // The example names the default port; the test must not depend on that being free.
  const here = fileURLToPath(new URL('../', import.meta.url));
  const source = read(EXAMPLE)
    .replace('ws://127.0.0.1:8766', gateway.url.replace('http', 'ws'))
    .replace(/from '(@trpc\/client|superjson)'/g, (_all, name: string) => `from '${import.meta.resolve(name)}'`)
    .replace('../../src', `${here}src`);
  writeFileSync(folder.file('example.ts'), source);
  const token = await gateway.token('me', 'admin');
  const child = spawn(process.execPath, [folder.file('example.ts')], {
    env: { COURIER_TOKEN: token },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  expect(await text(child.stdout)).toBe(`b1 is at 50% ${new Date().getFullYear()}\n`);
});
