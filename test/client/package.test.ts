/** The package as users get it: packed, installed into an empty project, type-checked there, run there, and weighed. */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { expect, test } from 'vitest';
import { VERSION } from '../../client/src/version.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway } from '../helpers/gateway.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const bin = (name: string) => `${root}node_modules/.bin/${name}`;
/** With its dependencies, minified and compressed: what a page pays for the client. */
const MAX_GZIPPED_BYTES = 22 * 1024;

const USER_CODE = `
import { CourierClient, CourierError, type EventOn } from '@lumiere/courier-client';
import { fileCursor } from '@lumiere/courier-client/node';
import { useBacktestEvents } from '@lumiere/courier-client/react';

await using client = new CourierClient({ url: process.env.COURIER_URL!, token: process.env.COURIER_TOKEN!, onGap: 'fail' });
const cursor = fileCursor('below/position');
const received: Promise<EventOn<'backtest.b1'>> = new Promise((resolve) =>
  client.subscribe('backtest.b1', resolve, { from: 'earliest', cursor }),
);
const receipt = await client.publish('backtest.b1', 'backtest.progress', { backtest_id: 'b1', progress: 0.5 });
const event = await received;
if (event.type !== 'backtest.progress') throw new Error(event.type);
const half: number = event.data.progress;
// @ts-expect-error no such type
const wrong = () => client.publish('backtest.b1', 'backtest.exploded', { backtest_id: 'b1' });
const refused = await client.publish('backtest.b1', 'backtest.progress', { backtest_id: 'b1', progress: 2 }).catch((error) => error);
const noFile = (() => { try { fileCursor('below') } catch (error) { return error; } })();
console.log(noFile instanceof CourierError && noFile.code, receipt.id === event.id, half, refused instanceof CourierError && refused.code, typeof wrong, typeof useBacktestEvents);
`;

test('the packed package installs, compiles and runs in an empty project, and is small', { timeout: 120_000 }, async () => {
  using folder = temporaryFolder();
  // What `npm test` has built before: building it here would take it from under other tests.
  const pack = ['pack', '--json', '--ignore-scripts', '--workspace', 'client', '--pack-destination', folder.path];
  const [packed] = JSON.parse((await run('npm', pack, { cwd: root })).stdout) as {
    filename: string;
    version: string;
    files: { path: string }[];
  }[];
  expect(packed?.version).toBe(VERSION);
  const paths = packed?.files.map(({ path }) => path) ?? [];
  expect(paths).toEqual(
    expect.arrayContaining([
      'README.md',
      'LICENSE',
      ...['index', 'node', 'react'].flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]),
    ]),
  );
  expect(paths.filter((path) => !/^(dist\/|README\.md$|LICENSE$|package\.json$)/.test(path))).toEqual([]);

  const project = folder.file('project');
  mkdirSync(project);
  const inProject = (name: string, text: string) => writeFileSync(`${project}/${name}`, text);
  inProject('package.json', JSON.stringify({ name: 'project', private: true, type: 'module' }));
  inProject('index.ts', USER_CODE);
  inProject(
    'tsconfig.json',
    JSON.stringify({
      compilerOptions: {
        target: 'es2024',
        lib: ['es2024', 'esnext.disposable', 'dom'],
        module: 'nodenext',
        strict: true,
        noEmit: true,
        skipLibCheck: false,
        types: ['node'],
      },
      files: ['index.ts'],
    }),
  );
  const install = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'];
  await run('npm', [...install, `../${packed?.filename}`, 'react@19', '@types/react@19', '@types/node@26'], { cwd: project });
  await run(bin('tsc'), ['-p', '.'], { cwd: project });
  await using gateway = await startGateway();
  const env = { ...process.env, COURIER_URL: gateway.url, COURIER_TOKEN: await gateway.token('cartographe', 'service') };
  const ran = await run(process.execPath, ['index.ts'], { cwd: project, env });
  expect(ran.stdout).toBe('INVALID_ARGUMENT true 0.5 BAD_REQUEST function function\n');

  inProject('page.js', `import { CourierClient } from '@lumiere/courier-client';\nglobalThis.client = CourierClient;\n`);
  const bundle = await build({
    root: project,
    logLevel: 'silent',
    configFile: false,
    build: { write: false, rollupOptions: { input: `${project}/page.js` } },
  });
  if (!('output' in bundle)) throw new Error('one bundle was expected');
  const [{ code }] = bundle.output;
  expect(gzipSync(code).length).toBeLessThan(MAX_GZIPPED_BYTES);
});
