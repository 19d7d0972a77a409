/** The dashboard below a path: the gateway's own, one that a proxy takes away, and both. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../helpers/chromium.ts';
import { startGateway } from '../helpers/gateway.ts';
import { startHttpProxy } from '../helpers/http-proxy.ts';
import { openDashboard, publishBars, seen } from './stage.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

test.each<[name: string, basePath: string, outside: string, toGateway: (path: string) => string]>([
  ['of the gateway', '/courier', '/courier', (path) => path],
  ['that a proxy takes away', '', '/tools/courier', (path) => path.replace('/tools/courier', '')],
  ['of which a proxy takes a part away, and that looks like the page', '/admin', '/x/admin', (path) => path.replace('/x', '')],
])('a path %s', { timeout: 60_000 }, async (_name, basePath, outside, path) => {
  await using gateway = await startGateway({ COURIER_BASE_PATH: basePath });
  await using proxy = await startHttpProxy(gateway.url, { path });
  const token = await gateway.token('root', 'admin');
  const url = `${proxy.url}${outside}`;
  await publishBars(gateway.url, token, [1, 2]);
  await using dashboard = await openDashboard(browser, url, { token });
  const { page } = dashboard;
  await seen(page.getByRole('heading', { name: 'Overview' }));
  await seen(page.getByText('Connected', { exact: true }));
  await seen(page.locator('[data-figure="connections"]'));
  // Its links stay below the path, and so does what they load.
  await page.getByRole('link', { name: 'Stream' }).click();
  await seen(page.getByText('bars_processed=2'));
  expect(new URL(page.url()).pathname).toBe(`${outside}/admin/stream`);
  await page.getByRole('button', { name: 'As code' }).click();
  await seen(page.getByRole('dialog').locator('[data-code="curl"]'));
  const code = (await page.locator('[data-code]').allTextContents()).join('\n');
  for (const address of [`'${url}/events/`, `url: "${url}"`, `base_url="${url}"`]) expect(code).toContain(address);
  // Addresses of pages are taken, whatever their depth, and the sign-in is kept.
  await page.goto(`${url}/admin/trace/work-1`);
  await seen(page.getByRole('heading', { level: 1 }));
  await page.goto(`${url}/admin/contract`);
  await seen(page.getByText('courier-client-typescript/'));
  for (const name of ['contract.json', 'asyncapi.json']) {
    const href = await page.getByRole('link', { name }).getAttribute('href');
    expect(href).toBe(`${url}/${name}`);
    expect((await fetch(String(href))).status).toBe(200);
  }
  // Without its slash it leads to the page, and its query along.
  await page.goto(`${url}/admin?theme=dark`);
  await seen(page.getByRole('heading', { name: 'Overview' }));
  expect(page.url()).toBe(`${url}/admin/?theme=dark`);
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});

test('the token of one gateway is not taken to another of the same origin', async () => {
  await using gateway = await startGateway();
  await using proxy = await startHttpProxy(gateway.url, { path: (path) => path.replace(/^\/(first|second)/, '') });
  await using dashboard = await openDashboard(browser, `${proxy.url}/first`, { token: await gateway.token('root', 'admin') });
  const { page } = dashboard;
  await seen(page.getByRole('heading', { name: 'Overview' }));
  await page.goto(`${proxy.url}/second/admin/`);
  await seen(page.getByRole('button', { name: 'Sign in' }));
  await page.goto(`${proxy.url}/first/admin/`);
  await seen(page.getByRole('heading', { name: 'Overview' }));
});
