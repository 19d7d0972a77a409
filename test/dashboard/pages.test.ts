/** The pages of the dashboard, used as people use them: what is published appears, is found, paused, followed and sent. */
import { execFile } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../helpers/chromium.ts';
import { httpClient, startGateway } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { jobStarted, progressOf } from '../helpers/samples.ts';
import { eventually, openDashboard, overflow, picture, publishBars, seen, seriousFindings } from './stage.ts';

const BUILT = fileURLToPath(new URL('../../client/dashboard/dist/', import.meta.url));
const MAX_FIRST_LOAD_BYTES = 250_000;

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

test('the first load, sign-in and overview, is less than 250 KB of JavaScript', async () => {
  await using gateway = await startGateway();
  const scripts = new Set<string>();
  await using dashboard = await openDashboard(browser, gateway.url, {
    token: await gateway.token('root', 'admin'),
    prepare: async (page) =>
      page.on('request', (request) => request.resourceType() === 'script' && scripts.add(new URL(request.url()).pathname)),
  });
  await seen(dashboard.page.locator('[data-chart="Errors"] canvas'));
  const bytes = [...scripts].map((path) => {
    const file = `${BUILT}${path.replace('/admin/', '')}`;
    return statSync(file).size < 1024 ? statSync(file).size : statSync(`${file}.gz`).size;
  });
  expect(bytes.length).toBeGreaterThan(1);
  expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThan(MAX_FIRST_LOAD_BYTES);
  const index = readFileSync(`${BUILT}index.html`, 'utf8');
  expect(index).not.toMatch(/<script(?![^>]*\bsrc=)/);
});

test('what is published appears; a pause loses nothing; filters narrow it', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  await publishBars(gateway.url, token, numbers(1, 150));
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'stream' });
  const { page } = dashboard;
  await seen(page.locator('[data-stream="live"]'));
  // The latest hundred, and what was before on request.
  await seen(page.locator('[data-shown="100"]'));
  await publishBars(gateway.url, token, numbers(151, 160));
  await seen(page.locator('[data-shown="110"]'));
  await seen(page.getByText('bars_processed=160'));
  await page.getByRole('button', { name: 'Pause' }).click();
  await publishBars(gateway.url, token, numbers(161, 560));
  await seen(page.getByText('Paused, 400 waiting'));
  expect(await page.getByText('bars_processed=161').count()).toBe(0);
  await picture(page, 'paused');
  await page.getByRole('button', { name: 'Resume' }).click();
  await seen(page.locator('[data-shown="510"]'));
  await seen(page.getByText('bars_processed=560'));
  await page.getByRole('button', { name: 'Filters' }).click();
  await page.getByLabel('Channels').fill('backtest.*, forge.job.*');
  await page.getByRole('combobox', { name: 'Types' }).click();
  await page.getByRole('option', { name: 'forge.job.started' }).click();
  await seen(page.getByText('Nothing yet'));
  const { forge } = httpClient(gateway.url, token);
  await forge.publish.mutate({ type: 'forge.job.started', channel: 'forge.job.j1', data: { job_id: 'j1', kind: 'k' } });
  await publishBars(gateway.url, token, [561]);
  await seen(page.locator('[data-shown="1"]'));
  await seen(page.getByText('job_id=j1'));
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});

test('a flood stays within bounds, and scrolling away holds it', { timeout: 60_000 }, async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'stream' });
  const { page } = dashboard;
  await seen(page.locator('[data-stream="live"]'));
  await publishBars(gateway.url, token, numbers(1, 11_000));
  await eventually(() => page.getByText('bars_processed=11000').count()).toBe(1);
  const shown = Number(await page.locator('[data-shown]').getAttribute('data-shown'));
  expect(shown).toBeGreaterThan(9_000);
  expect(shown).toBeLessThanOrEqual(10_100);
  const scroll = (to: number) =>
    page.getByRole('region', { name: 'Events' }).evaluate((list, top) => {
      (list as unknown as { scrollTop: number }).scrollTop = top;
    }, to);
  // Few of them are in the page.
  expect(await page.locator('[data-event]').count()).toBeLessThan(60);
  await scroll(5000);
  await seen(page.locator('[data-stream="paused"]'));
  await scroll(0);
  await seen(page.locator('[data-stream="live"]'));
  expect(dashboard.complaints).toEqual([]);
});

test('markup, invisible characters and huge payloads are shown and not interpreted', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  const evil = '<img src=x onerror="globalThis.pwned=1"><script>globalThis.pwned=1</script>';
  const { forge } = httpClient(gateway.url, token);
  await forge.publish.mutate({
    type: 'forge.job.completed',
    channel: 'forge.job.huge',
    data: { job_id: 'huge', result: { evil, hidden: 'a\u202eb\u200bc\u0007d', text: 'x'.repeat(90_000) } },
  });
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'stream?channels=forge.job.*' });
  const { page } = dashboard;
  await page.locator('[data-event] button').click();
  const json = page.locator('[data-code="json"]');
  await seen(json);
  expect(await json.textContent()).toContain('<img src=x onerror=');
  expect(await json.textContent()).toContain('a\\u202eb\\u200bc\\u0007d');
  expect((await json.textContent())?.length).toBeLessThan(21_000);
  await page.getByRole('button', { name: /^Show the other/ }).click();
  await eventually(async () => (await json.textContent())?.length).toBeGreaterThan(90_000);
  expect(await page.evaluate('globalThis.pwned')).toBeUndefined();
  const name = '<img/src=x/onerror="globalThis.pwned=1">';
  await using other = await openDashboard(browser, gateway.url, { token: await gateway.token(name, 'admin'), path: 'connections' });
  await other.page.getByRole('button', { name }).click();
  await seen(other.page.getByRole('dialog').getByText(name));
  expect(await other.page.evaluate('globalThis.pwned')).toBeUndefined();
  expect([...dashboard.complaints, ...other.complaints]).toEqual([]);
});

test('the code of an event publishes the same, whatever is in it', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  const data = { job_id: 'j', result: { quotes: `it's "quoted" $HOME \`id\` \\ ü \u2028`, nested: { list: [1, null, true] } } };
  const client = httpClient(gateway.url, token);
  const metadata = { correlation_id: "o'clock", causation_id: 'another-1' };
  await client.forge.publish.mutate({ type: 'forge.job.completed', channel: 'forge.job.j', data, metadata });
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'stream' });
  const { page } = dashboard;
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.locator('[data-event] button').click();
  const copied = async (language: string) => {
    await page.getByRole('tab', { name: language }).click();
    await page.getByRole('button', { name: `Copy the ${language} code` }).click();
    return (await page.evaluate('navigator.clipboard.readText()')) as string;
  };
  const run = promisify(execFile);
  const env = { ...process.env, COURIER_TOKEN: token };
  await run('bash', ['-c', await copied('curl')], { env });
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  await run(process.execPath, ['--input-type=module', '--eval', await copied('TypeScript')], { env, cwd });
  const { events } = await client.events.history.query({ channels: ['forge.job.j'] });
  expect(events).toHaveLength(3);
  for (const event of events) expect(event).toMatchObject({ type: 'forge.job.completed', data, metadata });
  await run('python3', ['-c', 'import ast, sys; ast.parse(sys.argv[1])', await copied('Python')]);
});

test('the code of an event that begins a piece of work begins another', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  const { id } = await httpClient(gateway.url, token).forge.publish.mutate(jobStarted());
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'stream' });
  const { page } = dashboard;
  await page.locator('[data-event] button').click();
  const details = page.getByRole('dialog');
  await seen(details.getByRole('link', { name: id }));
  for (const language of ['curl', 'typescript', 'python']) {
    const code = await details.locator(`[data-code="${language}"]`).textContent();
    expect(code).toContain('forge.job.started');
    expect(code).not.toMatch(/correlation|causation/i);
  }
});

test('an event is published by hand, refused with the words of the gateway, and who received it is told', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  await using reader = await openSocket(
    `${gateway.url.replace('http', 'ws')}/ws/backtest.*?token=${await gateway.token('reader', 'service')}`,
  );
  await reader.count(1);
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'publish?type=backtest.progress' });
  const { page } = dashboard;
  const publish = page.getByRole('button', { name: 'Publish', exact: true });
  await page.getByLabel('backtest_id').fill('b 1');
  await page.getByLabel('progress', { exact: false }).first().fill('7');
  await publish.click();
  await seen(page.getByText('must be 1 to 64 characters of A-Z, a-z, 0-9, _ and -').first());
  await picture(page, 'refused');
  expect(await page.locator('[data-result]').count()).toBe(0);
  await page.getByLabel('backtest_id').fill('b1');
  await page.getByLabel('progress', { exact: false }).first().fill('0.7');
  await publish.click();
  const result = page.locator('[data-result]');
  await seen(result);
  await seen(result.getByText('reader'));
  await reader.count(2);
  expect(JSON.parse(reader.messages.at(-1) ?? '')).toMatchObject({
    channel: 'backtest.b1',
    data: progressOf(0.7),
    metadata: { source: 'root' },
  });
  await picture(page, 'published');
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});

test('a connection is found, looked at, and sent away', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  const open = async (sub: string) => openSocket(`${gateway.url.replace('http', 'ws')}/ws/global?token=${await gateway.token(sub)}`);
  await using ada = await open('ada');
  await using eve = await open('eve');
  await Promise.all([ada.count(1), eve.count(1)]);
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'connections' });
  const { page } = dashboard;
  const rows = page.getByRole('region', { name: 'Connections' }).locator('tbody tr[data-row]');
  await eventually(() => rows.count()).toBe(3);
  await page.getByLabel('Search').fill('eve');
  await eventually(() => rows.count()).toBe(1);
  await page.getByRole('button', { name: 'eve' }).click();
  const drawer = page.getByRole('dialog', { name: 'Connection' });
  await seen(drawer.getByText('global'));
  await drawer.getByRole('button', { name: 'Disconnect' }).click();
  await picture(page, 'disconnect');
  await page.getByRole('dialog', { name: 'Disconnect' }).getByRole('button', { name: 'Disconnect' }).click();
  expect(await eve.closed).toEqual({ code: 1013, reason: 'disconnected by an administrator' });
  await seen(page.getByText('The connection was closed', { exact: true }));
  await seen(drawer.getByText('It is closed.'));
  await page.keyboard.press('Escape');
  await page.getByLabel('Search').fill('ada');
  await page.getByRole('button', { name: 'ada' }).click();
  await drawer.getByRole('button', { name: 'Revoke tokens' }).click();
  await page.getByRole('dialog', { name: 'Revoke tokens' }).getByRole('button', { name: 'Revoke', exact: true }).click();
  expect((await ada.closed).code).toBe(1008);
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});

test('what is published while a stream begins is in history and live, and shown once', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  await publishBars(gateway.url, token, [1]);
  let isBetween = false;
  const prepare = (page: Page) =>
    page.routeWebSocket(/\/trpc/, (ws) => {
      const server = ws.connectToServer();
      server.onMessage((message) => ws.send(message));
      ws.onMessage(async (message) => {
        // The newest position is known by then, and history not read yet.
        if (!isBetween && String(message).includes('"limit":100')) {
          isBetween = true;
          await publishBars(gateway.url, token, [2]);
        }
        server.send(message);
      });
    });
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'stream', prepare });
  const { page } = dashboard;
  await seen(page.locator('[data-stream="live"]'));
  await publishBars(gateway.url, token, [3]);
  await seen(page.getByText('bars_processed=3'));
  const bars = (await page.locator('[data-event]').allTextContents()).map((text) => /bars_processed=(\d+)/.exec(text)?.[1]);
  expect(isBetween).toBe(true);
  expect(bars).toEqual(['3', '2', '1']);
});

test('a stream is narrowed by source, user and correlation id, in history and live; a wrong channel is told', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  const publish = async (who: 'forge' | 'root', job_id: string, metadata: { user_id?: string; correlation_id?: string }) => {
    const { events } = httpClient(gateway.url, await gateway.token(who, who === 'root' ? 'admin' : 'service'));
    await events.publish.mutate({ type: 'forge.job.completed', channel: `forge.job.${job_id}`, data: { job_id }, metadata });
  };
  await publish('forge', 'old', { user_id: 'ada', correlation_id: 'work-1' });
  await publish('root', 'other', { user_id: 'eve', correlation_id: '2' });
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'stream' });
  const { page } = dashboard;
  const jobs = async () => (await page.locator('[data-event]').allTextContents()).map((text) => /job_id=(\S+)/.exec(text)?.[1]);
  await eventually(jobs).toEqual(['other', 'old']);
  await page.getByRole('button', { name: 'Filters' }).click();
  const narrow = async (label: string, value: string, found: string[]) => {
    await page.getByLabel(label, { exact: true }).fill(value);
    await page.getByLabel(label, { exact: true }).press('Enter');
    await eventually(jobs).toEqual(found);
  };
  await narrow('Source', 'forge', ['old']);
  await narrow('User', 'ada', ['old']);
  await narrow('Correlation id', 'work-1', ['old']);
  await publish('forge', 'no', { user_id: 'ada', correlation_id: 'work-2' });
  await publish('forge', 'new', { user_id: 'ada', correlation_id: 'work-1' });
  await eventually(jobs).toEqual(['new', 'old']);
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await eventually(jobs).toEqual(['new', 'no', 'other', 'old']);
  // An id that is a number is one in the address too.
  await page.goto(`${gateway.url}/admin/stream?correlation=2`);
  await eventually(jobs).toEqual(['other']);
  await page.goto(`${gateway.url}/admin/stream?channels=a..b`);
  await seen(page.getByRole('alert').filter({ hasText: '"a..b" is neither a channel nor a pattern' }));
  expect(dashboard.complaints).toEqual([]);
});

test('with the keyboard alone an event is found, opened and left', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  await publishBars(gateway.url, token, [1, 2, 3]);
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'stream' });
  const { page } = dashboard;
  await seen(page.getByText('bars_processed=3'));
  await page.getByRole('region', { name: 'Events' }).focus();
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowDown');
  await eventually(() => page.evaluate('document.activeElement?.textContent')).toContain('bars_processed=2');
  await page.keyboard.press('Enter');
  const drawer = page.getByRole('dialog', { name: 'Event' });
  await seen(drawer.locator('[data-code="json"]').getByText('"bars_processed": 2'));
  await page.keyboard.press('Escape');
  await eventually(() => drawer.count()).toBe(0);
  expect(dashboard.complaints).toEqual([]);
});

test('the contract is told: types with their fields, channels, and who was built with which', async () => {
  await using gateway = await startGateway();
  await using dashboard = await openDashboard(browser, gateway.url, { token: await gateway.token('root', 'admin'), path: 'contract' });
  const { page } = dashboard;
  await seen(page.getByText('courier-client-typescript/'));
  await page.getByLabel('Search').fill('order.placed');
  await seen(page.getByText('1 type', { exact: true }));
  for (const field of ['order_id', 'limit_price']) await seen(page.locator(`[data-field="${field}"]`));
  await page.getByRole('link', { name: /Publish one/ }).click();
  await seen(page.getByRole('heading', { name: 'Publish', exact: true }));
  expect(new URL(page.url()).searchParams.get('type')).toBe('order.placed');
  expect(dashboard.complaints).toEqual([]);
});

test('channels lead to their streams', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  await publishBars(gateway.url, token, [1, 2], 'backtest.b7');
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'channels' });
  const { page } = dashboard;
  await seen(page.getByText('backtest.progress'));
  await page.getByRole('link', { name: 'backtest.b7' }).click();
  await seen(page.locator('[data-shown="2"]'));
  expect(new URL(page.url()).searchParams.get('channels')).toBe('backtest.b7');
  expect(dashboard.complaints).toEqual([]);
});

const PAGES = ['', 'connections', 'channels', 'stream', 'state', 'trace/work-1', 'publish?type=order.placed', 'contract'];
test.each([
  [1280, 'light'],
  [390, 'dark'],
] as const)('every page at %i px, %s, is accessible and fits', { timeout: 90_000 }, async (width, colorScheme) => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  const { events } = httpClient(gateway.url, token);
  await events.publishBatch.mutate([
    { type: 'strategy.generation.started', channel: 'strategy.s1', data: { strategy_id: 's1' }, metadata: { correlation_id: 'work-1' } },
    { type: 'backtest.started', channel: 'backtest.b1', data: { backtest_id: 'b1' }, metadata: { correlation_id: 'work-1' } },
  ]);
  await using dashboard = await openDashboard(browser, gateway.url, { token, colorScheme, viewport: { width, height: 800 } });
  const { page } = dashboard;
  await seen(page.locator('[data-connection="connected"]'));
  for (const path of PAGES) {
    await page.goto(`${gateway.url}/admin/${path}`);
    // Of the page itself, not of the sign-in.
    await seen(page.getByRole('main').getByRole('heading', { level: 1 }));
    await seen(page.locator('[data-connection="connected"]'));
    await eventually(() => page.locator('[role="status"][aria-label$=": loading"]').count()).toBe(0);
    expect({ path, findings: await seriousFindings(page), overflow: await overflow(page) }).toEqual({ path, findings: [], overflow: 0 });
  }
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});
