/** A Node.js that is too old: a sentence, whatever is started or imported. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { nodeProblem } from '../src/node-version.js';

const root = fileURLToPath(new URL('../', import.meta.url));
const { scripts, engines } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  scripts: Readonly<Record<string, string>>;
  engines: { readonly node: string };
};
const sentence = (version: string) =>
  new RegExp(`^courier needs Node\\.js ${engines.node.slice(2)} or later, and this is ${version}: [^\\n]+\\n$`);

/** Makes Node.js say that it is another version. */
const pretending = (version: string) => [
  '--import',
  `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`,
];
const importing = (module: string) => [
  '--input-type=module',
  '-e',
  `await import('${root}${module}').catch(({ message }) => { console.error(message); process.exitCode = 1; })`,
];
const CLIENT = 'the Courier client needs WebSocket, which browsers and Node.js 22 or later have, and this is';

function run(command: string, args: readonly string[], path = process.env['PATH']): { code: number | null; stderr: string } {
  const { status, stderr } = spawnSync(command, args, { cwd: root, env: { PATH: path, COURIER_PORT: 'none' }, encoding: 'utf8' });
  return { code: status, stderr };
}

test('the present one is right', () => {
  expect(nodeProblem).toBeUndefined();
});

test.each([['src/main.ts'], ['scripts/courier.ts', '--help'], importing('src/index.ts')])('%s %s', { timeout: 60_000 }, (...args) => {
  for (const version of ['20.20.2', '22.18.0', '24.14.9'])
    expect(run(process.execPath, [...pretending(version), ...args])).toEqual({
      code: 1,
      stderr: expect.stringMatching(sentence(version.replace(/\.\d+$/, ''))),
    });
  for (const version of ['24.15.0', '25.0.0'])
    expect(run(process.execPath, [...pretending(version), ...args]).stderr).not.toMatch(/needs Node/);
});

/** One that is really old, if this machine has it. */
const old = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'node'))
  .find((node) => existsSync(node) && Number(versionOf(node).split('.')[0]) < 24);

function versionOf(node: string): string {
  return execFileSync(node, ['--version'], { encoding: 'utf8' }).trim().slice(1);
}

test.runIf(old !== undefined)('one that can read neither TypeScript nor what is built', () => {
  const node = old as string;
  const expected = { code: 1, stderr: expect.stringMatching(sentence(versionOf(node).replace(/\.\d+$/, ''))) };
  const path = `${dirname(node)}${delimiter}${process.env['PATH']}`;
  for (const name of ['start', 'demo', 'courier'])
    expect([name, run('sh', ['-c', scripts[name] as string], path)]).toEqual([name, expected]);
  for (const args of [['dist/src/main.js'], ['dist/scripts/courier.js', '--help'], importing('dist/src/index.js')])
    expect([args, run(node, args)]).toEqual([args, expected]);
  expect(run(node, importing('client/dist/index.js'))).toEqual({ code: 1, stderr: `${CLIENT} Node.js ${versionOf(node)}\n` });
});

test('the client, where there is no WebSocket', () => {
  const without = ['--import', 'data:text/javascript,delete globalThis.WebSocket'];
  const { node } = process.versions;
  expect(run(process.execPath, [...without, ...importing('client/src/index.ts')])).toEqual({
    code: 1,
    stderr: `${CLIENT} Node.js ${node}\n`,
  });
});
