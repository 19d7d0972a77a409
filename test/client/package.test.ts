/** The package as users get it: packed, installed into an empty project, type-checked there, run there, and weighed. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { expect, test } from 'vitest';
import { VERSION } from '../../client/src/version.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway } from '../helpers/gateway.ts';
import { makeProject, packClient } from '../helpers/packed.ts';

const run = promisify(execFile);
/** The README's example of an unmodified tRPC client. */
const STOCK = readFileSync(new URL('../../scripts/demo/trpc.ts', import.meta.url), 'utf8');
/** With its dependencies, minified and compressed: what a page pays for the client. */
const MAX_GZIPPED_BYTES = 28.5 * 1024;

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
  const { tarball, version, paths } = await packClient(folder.path);
  expect(version).toBe(VERSION);
  expect(paths).toEqual(
    expect.arrayContaining([
      'README.md',
      'LICENSE',
      ...['index', 'node', 'react'].flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]),
    ]),
  );
  expect(paths.filter((path) => !/^(dist\/|README\.md$|LICENSE$|package\.json$)/.test(path))).toEqual([]);

  const project = makeProject(folder.file('project'));
  const needed = ['react@19', '@types/react@19', '@types/node@26', '@types/ws@8'];
  await project.install(tarball, ...needed);
  await using gateway = await startGateway();
  project.write('index.ts', USER_CODE);
  // The example names the default port; the test must not depend on that being free.
  project.write('stock.ts', STOCK.replace('//127.0.0.1:8766', `//127.0.0.1:${gateway.port}`));
  await project.compile({ types: ['node'] });
  const env = { ...process.env, COURIER_URL: gateway.url, COURIER_TOKEN: await gateway.token('cartographe', 'service') };
  const ran = await run(process.execPath, ['index.ts'], { cwd: project.path, env });
  expect(ran.stdout).toBe('INVALID_ARGUMENT true 0.5 BAD_REQUEST function function\n');
  const stock = await run(process.execPath, ['stock.ts'], { cwd: project.path, env });
  expect(stock.stdout).toBe(`b1 is at 50% ${new Date().getFullYear()}\n`);

  project.write('page.js', `import { CourierClient } from '@lumiere/courier-client';\nglobalThis.client = CourierClient;\n`);
  const bundle = await build({
    root: project.path,
    logLevel: 'silent',
    configFile: false,
    build: { write: false, rollupOptions: { input: `${project.path}/page.js` } },
  });
  if (!('output' in bundle)) throw new Error('one bundle was expected');
  const [{ code, imports, dynamicImports, ...more }, ...rest] = bundle.output;
  // What Node.js has is asked for, and not imported: nothing of it is in a page, nor a stand-in.
  expect({ imports, dynamicImports, chunks: rest.filter(({ type }) => type === 'chunk') }).toEqual({
    imports: [],
    dynamicImports: [],
    chunks: [],
  });
  expect(Object.keys(more.modules).filter((id) => /node:|browser-external|async_hooks/.test(id))).toEqual([]);
  expect(gzipSync(code).length).toBeLessThan(MAX_GZIPPED_BYTES);
});
