/** Who may look at the dashboard, for how long, and what becomes of the page when the gateway goes or changes. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../helpers/chromium.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway } from '../helpers/gateway.ts';
import { CONTRACT_HASH } from '../helpers/lumiere.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { eventually, gone, openDashboard, picture, publishBars, seen, seriousFindings } from './stage.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

test('nothing is shown before a token was accepted, and a token is kept in the tab only', async () => {
  await using gateway = await startGateway();
  await using dashboard = await openDashboard(browser, gateway.url, { path: 'connections' });
  const { page } = dashboard;
  await seen(page.getByRole('button', { name: 'Sign in' }));
  await picture(page, 'sign-in');
  expect(await page.getByRole('navigation').count()).toBe(0);
  for (const [text, problem] of [
    ['', 'Paste a token.'],
    ['not a token', 'There is a space'],
    ['token', 'This is no JWT'],
  ] as const) {
    await page.getByLabel('Token').fill(text);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await seen(page.getByText(problem));
  }
  await page.getByLabel('Token').fill(` Bearer ${await gateway.token('root', 'admin')}\n`);
  await page.getByLabel('Token').press('Enter');
  // It is the page that was asked for.
  await seen(page.getByRole('heading', { name: 'Connections', level: 1 }));
  expect(await page.evaluate('[localStorage.length, document.cookie, location.hash]')).toEqual([0, '', '']);
  await page.reload();
  await seen(page.getByRole('heading', { name: 'Connections', level: 1 }));
  await page.getByRole('button', { name: 'Sign out' }).click();
  await seen(page.getByRole('button', { name: 'Sign in' }));
  expect(await page.evaluate('sessionStorage.length')).toBe(0);
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});

test('a link signs in, and leaves no token in the address', async () => {
  await using gateway = await startGateway();
  await using dashboard = await openDashboard(browser, gateway.url, { token: await gateway.token('root', 'admin') });
  const { page } = dashboard;
  await seen(page.getByRole('heading', { name: 'Overview' }));
  expect(new URL(page.url()).hash).toBe('');
  await seen(page.getByText('Connected', { exact: true }));
  // Another link, followed in the same tab, is another's.
  await page.goto(`${gateway.url}/admin/#token=${await gateway.token('forge', 'service')}`);
  await seen(page.getByRole('navigation').getByText('forge'));
  expect(dashboard.complaints).toEqual([]);
});

test.each([
  ['a user', () => ({ role: 'user' }) as const, 'is that of a user'],
  ['an expired one', () => ({ role: 'admin', expiresInSeconds: -10 }) as const, 'expired'],
])('the token of %s is refused, with the reason', async (_who, request, reason) => {
  await using gateway = await startGateway();
  const { role, ...grants } = request();
  await using dashboard = await openDashboard(browser, gateway.url, { token: await gateway.token('ada', role, grants) });
  await seen(dashboard.page.getByRole('alert').filter({ hasText: reason }));
  expect(await dashboard.page.getByRole('navigation').count()).toBe(0);
  expect(await dashboard.page.evaluate('sessionStorage.length')).toBe(0);
});

test('a service sees figures, and nobody else', async () => {
  await using gateway = await startGateway();
  await using dashboard = await openDashboard(browser, gateway.url, { token: await gateway.token('forge', 'service') });
  const { page } = dashboard;
  await seen(page.locator('[data-figure="connections"]'));
  expect(await page.getByRole('navigation').getByRole('link').allTextContents()).toEqual([
    'Overview',
    'Channels',
    'Stream',
    'State',
    'Publish',
    'Contract',
  ]);
  await page.goto(`${gateway.url}/admin/connections`);
  await seen(page.getByText('Connections are for admins'));
  expect(dashboard.complaints).toEqual([]);
});

test('the end of a token is announced, another one goes on, and without one the page is signed out', async () => {
  await using gateway = await startGateway();
  const token = (expiresInSeconds: number) => gateway.token('root', 'admin', { expiresInSeconds });
  await using dashboard = await openDashboard(browser, gateway.url, { token: await token(60), path: 'stream' });
  const { page } = dashboard;
  await page.getByRole('button', { name: 'Go on with another token' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Token').fill(await gateway.token('another', 'admin'));
  await dialog.getByRole('button', { name: 'Go on' }).click();
  await seen(dialog.getByText('the token is of another'));
  await dialog.getByLabel('Token').fill(await token(3600));
  await dialog.getByRole('button', { name: 'Go on' }).click();
  await gone(page.getByText('Your token is about to expire'));
  await seen(page.getByRole('heading', { name: 'Stream' }));
  await page.goto(`${gateway.url}/admin/#token=${await token(3)}`);
  await seen(page.getByRole('alert').filter({ hasText: 'The token has expired' }));
  expect(await page.getByRole('navigation').count()).toBe(0);
  expect(await seriousFindings(page)).toEqual([]);
  await picture(page, 'expired');
  expect(dashboard.complaints).toEqual([]);
});

test('a restart of the gateway is lived through without a reload, and nothing is missed', { timeout: 60_000 }, async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
  await using first = await startProcess(env);
  const token = await processToken('root', 'admin');
  await using dashboard = await openDashboard(browser, first.url, { token, path: 'stream' });
  const { page } = dashboard;
  await seen(page.locator('[data-stream="live"]'));
  await publishBars(first.url, token, [1]);
  await seen(page.getByText('bars_processed=1'));
  await page.evaluate('globalThis.marked = true');
  await first.end('SIGTERM');
  await seen(page.getByText('The gateway is away'));
  await seen(page.locator('[data-connection="connecting"]'));
  expect(await seriousFindings(page)).toEqual([]);
  await picture(page, 'away');
  await using second = await startProcess({ ...env, COURIER_PORT: new URL(first.url).port });
  await publishBars(second.url, token, [2]);
  const tryNow = page.getByRole('button', { name: 'Try now' });
  if (await tryNow.isVisible()) await tryNow.click({ timeout: 2000 }).catch(() => undefined);
  await seen(page.getByText('bars_processed=2'));
  await gone(page.getByText('The gateway is away'));
  expect(await page.locator('[data-event]').count()).toBe(2);
  expect(await page.evaluate('globalThis.marked')).toBe(true);
  expect(dashboard.complaints).toEqual([]);
});

test('while the gateway cannot be reached nobody is signed in, and the page says so', async () => {
  const gateway = await startGateway();
  const prepare = (page: Page) => page.routeWebSocket(/\/trpc/, (ws) => void ws.close());
  await using dashboard = await openDashboard(browser, gateway.url, { token: await gateway.token('root', 'admin'), prepare });
  await seen(dashboard.page.getByText('The gateway cannot be reached; it is tried again.'));
  expect(await dashboard.page.getByRole('navigation').count()).toBe(0);
  await dashboard.page.getByRole('button', { name: 'Cancel' }).click();
  await seen(dashboard.page.getByRole('button', { name: 'Sign in' }));
  await gateway[Symbol.asyncDispose]();
});

test('a gateway of another contract asks for a reload, once that gets the other', async () => {
  await using gateway = await startGateway();
  const body = await (await fetch(`${gateway.url}/contract.json`)).text();
  const other = '0123456789abcdef';
  /** What whoever answers a reload serves; and how often that was asked for. */
  let served = CONTRACT_HASH;
  let asked = 0;
  await using dashboard = await openDashboard(browser, gateway.url, {
    token: await gateway.token('root', 'admin'),
    prepare: async (page) => {
      await page.routeWebSocket(/\/trpc/, (ws) => {
        const server = ws.connectToServer();
        ws.onMessage((message) => server.send(message));
        server.onMessage((message) => ws.send(String(message).replaceAll(CONTRACT_HASH, other)));
      });
      await page.route(/\/contract\.json$/, (route) => {
        asked += 1;
        return route.fulfill({ body, contentType: 'application/json', headers: { 'x-courier-contract': served } });
      });
    },
  });
  const { page } = dashboard;
  await eventually(() => asked).toBeGreaterThan(2);
  expect(await page.getByText('The gateway was updated').count()).toBe(0);
  served = other;
  await seen(page.getByText('The gateway was updated'));
  await picture(page, 'outdated');
  await Promise.all([page.waitForEvent('load'), page.getByRole('button', { name: 'Reload' }).click()]);
  await seen(page.getByRole('heading', { name: 'Overview' }));
});

test('a part of the page that the gateway does not have any more asks for a reload', async () => {
  await using gateway = await startGateway();
  await using dashboard = await openDashboard(browser, gateway.url, {
    token: await gateway.token('root', 'admin'),
    prepare: (page) => page.route(/\/assets\/contract-.*\.js$/, (route) => route.fulfill({ status: 404 })),
  });
  const { page } = dashboard;
  await page.getByRole('link', { name: 'Contract' }).click();
  await seen(page.getByText('This part of the page could not be loaded'));
  await seen(page.getByRole('button', { name: 'Reload the page' }));
  // What is open stays so.
  await page.getByRole('link', { name: 'Overview' }).click();
  await eventually(() => page.getByRole('heading', { level: 1 }).textContent()).toBe('Overview');
});
