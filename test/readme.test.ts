/** The documents: examples are the files that they name, and print what is said; what is repeated of the code is as it is there. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { DOCUMENTS, renewed } from '../scripts/docs.ts';
import { ENVIRONMENT } from './helpers/environment.ts';
import { temporaryFolder } from './helpers/folder.ts';
import { SECRET, startGateway } from './helpers/gateway.ts';
import { processToken, startProcess } from './helpers/process.ts';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

/** The examples in the order of the README. The example with tRPC's own client reads what that with Courier's has published. */
const EXAMPLES = ['scripts/demo/example.ts', 'scripts/demo/trpc.ts'];
const CONTRACT = 'scripts/demo/contract.ts';
const EMBEDDED = 'scripts/demo/embedded.ts';

/** Runs an example against the gateway at a port, as the default one may be taken. */
function runExample(example: string, port: number | string, token: string, folder: { file(name: string): string }) {
  const source = read(example)
    .replace('//127.0.0.1:8766', `//127.0.0.1:${port}`)
    .replace(/from '(@trpc\/client|@lumiere\/courier-client|superjson)'/g, (_all, name: string) => `from '${import.meta.resolve(name)}'`);
  writeFileSync(folder.file('example.ts'), source);
  return spawn(process.execPath, [folder.file('example.ts')], { env: { COURIER_TOKEN: token }, stdio: ['ignore', 'pipe', 'pipe'] });
}

test('the examples are the files, and run as shown', async () => {
  const shown = [...read('README.md').matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code);
  expect(shown).toEqual([...EXAMPLES, CONTRACT, EMBEDDED].map(read));
  await using gateway = await startGateway();
  using folder = temporaryFolder();
  const token = await gateway.token('me', 'admin');
  for (const example of EXAMPLES) {
    const { stdout, stderr } = runExample(example, gateway.port, token, folder);
    expect(await Promise.all([text(stdout), text(stderr)])).toEqual([`b1 is at 50% ${new Date().getFullYear()}\n`, '']);
  }
});

test("the example with tRPC's own client says what is wrong, and ends when its token is refused", async () => {
  await using gateway = await startGateway();
  using folder = temporaryFolder();
  const refused = runExample('scripts/demo/trpc.ts', gateway.port, 'wrong', folder);
  expect(await text(refused.stderr)).toBe('the token is not valid: it is not a signed JWT\n');
  const lost = runExample('scripts/demo/trpc.ts', `${gateway.port}/elsewhere`, 'wrong', folder);
  const [line] = await once(createInterface({ input: lost.stderr }), 'line');
  lost.kill('SIGKILL');
  expect(line).toBe(`no gateway answers at ws://127.0.0.1:${gateway.port}/elsewhere/trpc; trying again`);
});

test('the contract of another trade can be served', async () => {
  await using gateway = await startProcess({ COURIER_LOG: 'memory:', COURIER_CONTRACT: CONTRACT });
  const headers = { authorization: `Bearer ${await processToken('stations', 'service')}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ type: 'station.measured', data: { station_id: 'oslo', celsius: -3.5 } });
  expect((await fetch(`${gateway.url}/publish/station.oslo`, { method: 'POST', headers, body })).status).toBe(201);
  const admin = { authorization: `Bearer ${await processToken('me', 'admin')}` };
  const { items } = (await (await fetch(`${gateway.url}/state/station.*`, { headers: admin })).json()) as { items: object[] };
  expect(items).toMatchObject([{ entity: 'weather', key: 'oslo', open: true, state: { celsius: -3.5, measurements: 1 } }]);
});

test("a gateway in a program of one's own is used, and ends with it", async () => {
  const token = await processToken('stations', 'service');
  const child = spawn(process.execPath, [EMBEDDED], {
    env: { ...ENVIRONMENT, COURIER_LOG: 'memory:', COURIER_PORT: '0', COURIER_JWT_SECRET: SECRET, COURIER_LOG_LEVEL: 'error' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  await using _child = { [Symbol.asyncDispose]: async () => void (child.kill('SIGKILL') && (await ended)) };
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const url = line.replace('the weather is at ', '');
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ type: 'station.measured', data: { station_id: 'oslo', celsius: -3.5 } });
  expect((await fetch(`${url}/publish/station.oslo`, { method: 'POST', headers, body })).status).toBe(201);
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  await expect(fetch(`${url}/livez`)).rejects.toThrow();
});

test("where the port is in use a program of one's own says so in one line", async () => {
  await using gateway = await startGateway();
  const env = { ...ENVIRONMENT, COURIER_LOG: 'memory:', COURIER_PORT: String(gateway.port), COURIER_JWT_SECRET: SECRET };
  const child = spawn(process.execPath, [EMBEDDED], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  expect({ stdout, stderr, code }).toEqual({
    stdout: '',
    stderr: expect.stringMatching(`^COURIER_PORT ${gateway.port} of 127.0.0.1 is in use: [^\n]+\n$`),
    code: 1,
  });
});

test.each(Object.entries(DOCUMENTS))('%s repeats the code as it is', (document, parts) => {
  expect(read(document), `${document} is out of date: npm run docs:renew`).toBe(renewed(read(document), parts));
});

test('a part that is to be written, and is not marked, is missed', () => {
  expect(() => renewed('# Courier', ['variables'])).toThrow('nothing is marked with <!-- begin variables: ... -->');
});

test('the guides show the files that they name', () => {
  const shown = [...read('client/GUIDES.md').matchAll(/^`(\S+)`\n\n```\w+\n([\s\S]*?)```$/gm)];
  expect(shown.map(([, path]) => path)).toEqual([
    'client/python/examples/prophet.py',
    'client/python/examples/cartographe.py',
    'client/examples/chevalier.ts',
    'client/examples/forge.ts',
    'client/examples/frontend/src/main.tsx',
    'client/examples/frontend/src/backtests.tsx',
    'client/examples/frontend/src/panel.tsx',
  ]);
  for (const [, path, code] of shown) expect(code).toBe(read(path as string));
});
