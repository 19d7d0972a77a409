/**
 * Pictures of the dashboard and of the demo's page for the README, of the demo's own data: `npm run screenshots`. Needs
 * Chromium; they are left in `client/dashboard/screenshots`, and beside the page.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { launchChromium } from '../test/helpers/chromium.ts';

const FOLDER = fileURLToPath(new URL('../client/dashboard/screenshots/', import.meta.url));
const PAGE_PICTURE = fileURLToPath(new URL('../client/examples/frontend/page.png', import.meta.url));
const DEMO = fileURLToPath(new URL('./demo/run.ts', import.meta.url));
/** How long the demo runs first, so that the charts have something to show, in ms. */
const WARM_UP_MS = 60_000;
const SIZE = { width: 1280, height: 800 };

const PAGES: readonly { readonly name: string; readonly path: string; readonly prepare?: (page: Page) => Promise<unknown> }[] = [
  { name: 'overview', path: '' },
  { name: 'connections', path: 'connections' },
  { name: 'channels', path: 'channels' },
  { name: 'stream', path: 'stream' },
  { name: 'event', path: 'stream?types=["backtest.completed"]', prepare: (page) => page.locator('[data-event] button').first().click() },
  { name: 'state', path: 'state?entity=order' },
  { name: 'thing', path: 'state?entity=backtest', prepare: (page) => page.locator('[data-row] a').first().click() },
  { name: 'trace', path: 'trace/research-2000-2020' },
  { name: 'publish', path: 'publish?type=backtest.progress', prepare: publishOne },
  { name: 'contract', path: 'contract' },
];

async function publishOne(page: Page): Promise<void> {
  await page.getByLabel('backtest_id').fill('by-hand');
  await page.getByLabel('progress', { exact: false }).first().fill('0.5');
  await page.getByRole('button', { name: 'Publish', exact: true }).click();
  await page.locator('[data-result]').waitFor();
}

mkdirSync(FOLDER, { recursive: true });
const demo = spawn(process.execPath, [DEMO, '--keep'], { stdio: ['ignore', 'pipe', 'inherit'] });
const exited = once(demo, 'exit');
try {
  const [link, address] = await new Promise<readonly [string, string]>((resolve) => {
    let dashboard = '';
    createInterface({ input: demo.stdout }).on('line', (line) => {
      const [, what, found = ''] = /^(dashboard|page): (\S+)$/.exec(line) ?? [];
      if (what === 'dashboard') dashboard = found;
      if (what === 'page') resolve([dashboard, found]);
    });
  });
  await using browser = await launchChromium();
  const page = await browser.newPage({ viewport: SIZE, colorScheme: 'light' });
  await page.goto(link);
  await page.locator('[data-figure="published"]').waitFor();
  await page.waitForTimeout(WARM_UP_MS);
  for (const { name, path, prepare } of PAGES) {
    await page.goto(new URL(path, link).href.replace(/#.*$/, ''));
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForLoadState('networkidle');
    await prepare?.(page);
    // Charts and drawers come to rest.
    await page.waitForTimeout(2500);
    await page.screenshot({ path: `${FOLDER}${name}.png` });
    console.log(`${FOLDER}${name}.png`);
  }
  await page.goto(address);
  await page.locator('[data-panel="Positions"] [data-row]').first().waitFor();
  await page.screenshot({ path: PAGE_PICTURE });
  console.log(PAGE_PICTURE);
} finally {
  demo.kill('SIGINT');
  await exited;
}
