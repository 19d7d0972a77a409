/** The demo's link, followed: a live run is watched, and a piece of work followed across the services. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { launchChromium } from '../helpers/chromium.ts';
import { ENVIRONMENT } from '../helpers/environment.ts';
import { eventually, openDashboard, picture, seen } from './stage.ts';

const DEMO = fileURLToPath(new URL('../../scripts/demo/run.ts', import.meta.url));

test('the link that the demo prints signs in, and shows its work from the job to the trades', { timeout: 60_000 }, async () => {
  await using browser = await launchChromium();
  const demo = spawn(process.execPath, [DEMO, '--keep'], {
    env: { ...ENVIRONMENT, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(demo, 'exit');
  try {
    const link = await new Promise<string>((resolve) => {
      createInterface({ input: demo.stdout }).on('line', (line) => {
        const [, found] = /^dashboard: (\S+)$/.exec(line) ?? [];
        if (found !== undefined) resolve(found);
      });
    });
    const { origin, hash } = new URL(link);
    const token = hash.replace('#token=', '');
    await using dashboard = await openDashboard(browser, origin, { token, path: 'stream' });
    const { page } = dashboard;
    await eventually(async () => Number(await page.locator('[data-shown]').getAttribute('data-shown'))).toBeGreaterThan(20);
    await page.goto(`${origin}/admin/trace/research-2000-2020`);
    await seen(page.getByText('138 events of forge, prophet, cartographe, chevalier'));
    for (const lane of ['job research-short', 'strategy sma-10-30', 'backtest bt-sma-10-30', 'order o1-buy', 'position SPX']) {
      await seen(page.locator(`[data-lane="${lane}"]`));
    }
    await picture(page, 'trace');
    await page.getByText('forge.job.started').first().click();
    await seen(page.getByRole('dialog').getByText('Follow research-2000-2020'));
    await page.goto(`${origin}/admin/`);
    await eventually(async () => Number(await page.locator('[data-figure="published"] .figures').textContent())).toBeGreaterThan(0);
    const figures = (component: string) => page.locator(`[data-component="${component}"] .figures`).textContent();
    expect(await figures('memory')).toMatch(
      /^used [\d,]+ MiB · limit [\d,]+ MiB · heap [\d.]+ MB · heap limit [\d.]+ GB · process [\d.]+ MB$/,
    );
    expect(await figures('websocket_server')).toMatch(/^connections \d+ · channels \d+ · late by [\d.]+ ms$/);
    await picture(page, 'overview');
    expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
  } finally {
    demo.kill('SIGINT');
    await exited;
  }
});
