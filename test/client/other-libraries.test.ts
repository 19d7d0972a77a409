/**
 * The client beside tRPC's libraries for React, as projects install them: the newest that there are, and the earliest version of
 * tRPC that the package takes. Each installs, compiles, and subscribes in a browser.
 */
import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../helpers/chromium.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway } from '../helpers/gateway.ts';
import { makeProject, packClient } from '../helpers/packed.ts';
import { startPage } from '../helpers/page.ts';

const REACT = ['react@19', 'react-dom@19', '@types/react@19', '@types/react-dom@19', '@tanstack/react-query@5', 'superjson@2'];
const EARLIEST = '11.4.0';

const folder = temporaryFolder();
let tarball = '';
let browser: Browser;

beforeAll(async () => {
  ({ tarball } = await packClient(folder.path));
  browser = await launchChromium();
});
afterAll(async () => {
  await browser.close();
  folder[Symbol.dispose]();
});

test.concurrent.each([
  { what: 'the newest @trpc/tanstack-react-query', page: 'tanstack-react-query', packages: ['@trpc/tanstack-react-query@latest'] },
  { what: 'the newest @trpc/react-query', page: 'react-query', packages: ['@trpc/react-query@latest'] },
  {
    what: 'the earliest tRPC',
    page: 'tanstack-react-query',
    packages: [`@trpc/tanstack-react-query@${EARLIEST}`, `@trpc/client@${EARLIEST}`, `@trpc/server@${EARLIEST}`],
  },
])('$what installs beside the client and subscribes', { timeout: 120_000 }, async ({ what, page, packages }) => {
  const project = makeProject(folder.file(what.replaceAll(/\W/g, '-')));
  // As somebody does who has the client already.
  await project.install(tarball);
  await project.install(...packages, ...REACT);
  project.write('page.tsx', readFileSync(new URL(`other-libraries/${page}.tsx`, import.meta.url), 'utf8'));
  // What tRPC's server declares needs the types of Node.js and of ws, which no page has.
  await project.compile({ types: [], skipLibCheck: true });

  const built = await build({
    root: project.path,
    logLevel: 'error',
    configFile: false,
    build: { write: false, rollupOptions: { input: `${project.path}/page.tsx` } },
  });
  if (!('output' in built)) throw new Error('one bundle was expected');
  await using site = await startPage(built.output[0].code);
  await using gateway = await startGateway({ COURIER_ALLOWED_ORIGINS: site.origin });
  const token = await gateway.token('ada', 'admin');
  await using context = await browser.newContext();
  const tab = await context.newPage();
  const faults: string[] = [];
  tab.on('pageerror', (error) => faults.push(String(error)));
  await tab.goto(`${site.origin}#${new URLSearchParams({ url: gateway.url, token })}`);
  await using publisher = gateway.webSocketClient(token);
  for (const progress of [0.25, 0.5]) {
    await publisher.trpc.events.publish.mutate({
      channel: 'backtest.b1',
      type: 'backtest.progress',
      data: { backtest_id: 'b1', progress },
    });
    for (const view of ['stock', 'courier']) await tab.locator(`[data-view="${view}"]`, { hasText: `at ${progress * 100}%` }).waitFor();
  }
  expect(faults).toEqual([]);
});
