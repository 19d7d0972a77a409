/** The pages of the state: what is there, what made it, and how it changes. */
import type { TRPCClient } from '@trpc/client';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AppRouter } from '../../src/router/index.ts';
import { launchChromium } from '../helpers/chromium.ts';
import { contract as withoutEntities } from '../helpers/docks.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { httpClient, startGateway } from '../helpers/gateway.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { contract as pantry } from './pantry.ts';
import { eventually, gone, openDashboard, overflow, picture, seen, seriousFindings } from './stage.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

type Drafts = Parameters<TRPCClient<AppRouter>['events']['publishBatch']['mutate']>[0];

const order = { symbol: 'SPX', side: 'buy', order_type: 'limit', quantity: '2' } as const;
const placed = (order_id: string, channel: `strategy.${string}` = 'strategy.s1') =>
  ({ type: 'order.placed', channel, data: { ...order, order_id } }) as const;
const filled = (order_id: string, quantity: string, remaining_quantity: string) =>
  ({
    type: 'order.filled',
    channel: 'strategy.s1',
    data: { order_id, symbol: 'SPX', side: 'buy', quantity, price: '1455.22', remaining_quantity },
  }) as const;

async function publishAll(url: string, token: string, drafts: Drafts): Promise<void> {
  const { events } = httpClient(url, token);
  for (let from = 0; from < drafts.length; from += 500) await events.publishBatch.mutate(drafts.slice(from, from + 500));
}

const rows = (page: Page) => page.getByRole('region', { name: 'State' }).locator('tbody tr[data-row]');
const keys = async (page: Page) => (await rows(page).locator('td:first-child').allTextContents()).sort();
const types = async (page: Page) =>
  (await page.getByRole('region', { name: 'Events' }).locator('[data-event]').allTextContents()).map(
    (text) => /order\.(\w+?)strategy/.exec(text)?.[1],
  );

test('an open order is found and opened; its events are there, and it changes as it is filled', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  await publishAll(gateway.url, token, [placed('o1'), placed('o2'), filled('o2', '2', '0'), placed('o3', 'strategy.s2')]);
  await using dashboard = await openDashboard(browser, gateway.url, { token });
  const { page } = dashboard;
  await page.getByRole('link', { name: 'State' }).click();
  await page.getByLabel('Entity').selectOption('order');
  await eventually(() => keys(page)).toEqual(['o1', 'o2', 'o3']);
  await seen(page.locator('[data-state="live"]'));
  await page.getByRole('switch', { name: 'Open only' }).click();
  await eventually(() => keys(page)).toEqual(['o1', 'o3']);
  await page.getByLabel('Channels').fill('strategy.s1');
  await page.getByLabel('Channels').press('Enter');
  await eventually(() => keys(page)).toEqual(['o1']);
  await publishAll(gateway.url, token, [placed('o12')]);
  await eventually(() => keys(page)).toEqual(['o1', 'o12']);
  // As it is typed it narrows what is shown; with Enter it is this one.
  await page.getByLabel('Key').fill('o1');
  await eventually(() => keys(page)).toEqual(['o1', 'o12']);
  await page.getByLabel('Key').press('Enter');
  await eventually(() => keys(page)).toEqual(['o1']);
  expect(new URL(page.url()).search).toBe('?entity=order&open=true&channels=strategy.s1&key=o1');
  await picture(page, 'state');
  await page.getByRole('link', { name: 'o1' }).click();
  await seen(page.locator('[data-open="true"]'));
  await eventually(() => types(page)).toEqual(['placed']);
  await publishAll(gateway.url, token, [filled('o1', '0.5', '1.5'), placed('o4')]);
  await eventually(() => types(page)).toEqual(['filled', 'placed']);
  await seen(page.locator('[data-fields]').getByText('1.5'));
  await publishAll(gateway.url, token, [filled('o1', '1.5', '0')]);
  await seen(page.locator('[data-open="false"]'));
  await eventually(() => types(page)).toEqual(['filled', 'filled', 'placed']);
  await picture(page, 'thing');
  // An event leads to what it has changed, and its channel to the state of all.
  await page.locator('[data-event] button').first().click();
  await seen(page.getByRole('dialog', { name: 'Event' }).getByRole('link', { name: 'order o1' }));
  await page.keyboard.press('Escape');
  await gone(page.getByRole('dialog', { name: 'Event' }));
  await page.goBack();
  await seen(page.getByText('None has exactly this key'));
  await page.getByLabel('Key').fill('');
  await eventually(() => keys(page)).toEqual(['o12', 'o4']);
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});

test('the stream of a channel leads to its state, and an event to what it has changed', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  await publishAll(gateway.url, token, [
    { type: 'position.updated', channel: 'strategy.s1', data: { symbol: 'A/B', quantity: '1', average_price: '2' } },
    { type: 'backtest.started', channel: 'backtest.b1', data: { backtest_id: 'b1' } },
  ]);
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'stream?channels=backtest.*' });
  const { page } = dashboard;
  await page.getByRole('link', { name: 'Their state' }).click();
  await eventually(() => keys(page)).toEqual(['b1']);
  expect(await page.getByLabel('Entity').inputValue()).toBe('backtest');
  await page.goto(`${gateway.url}/admin/stream?channels=strategy.s1`);
  await page.locator('[data-event] button').click();
  await page.getByRole('link', { name: 'position s1/A%2FB' }).click();
  await seen(page.locator('[data-fields]').getByText('A/B'));
  await seen(page.locator('[data-shown="1"]'));
  // The address alone leads there too.
  await page.reload();
  await seen(page.getByRole('heading', { level: 1, name: 'position s1/A%2FB' }));
  await seen(page.locator('[data-fields]').getByText('A/B'));
  expect(dashboard.complaints).toEqual([]);
});

test('what is wrong in an address is told in a sentence', async () => {
  await using gateway = await startGateway();
  await using dashboard = await openDashboard(browser, gateway.url, { token: await gateway.token('root', 'admin') });
  const { page } = dashboard;
  await seen(page.getByRole('heading', { name: 'Overview' }));
  for (const [path, sentence] of [
    ['state?entity=ship', 'The contract has no entity "ship"; it has backtest, '],
    ['state?entity=constructor', 'The contract has no entity "constructor"'],
    ['state?entity=[1]', 'The contract has no entity "[1]"'],
    ['state?open=perhaps', '“open” in the address is true or false, not "perhaps".'],
    [`state?key=${'k'.repeat(600)}`, 'A key has at most 512 characters; that of the address has 600.'],
    ['state?channels=a..b', '"a..b" is neither a channel nor a pattern'],
    ['state?channels={"a":1}', 'is neither a channel nor a pattern'],
    ['state/thing', 'it has no entity and no channel and no key.'],
    ['state/thing?entity=order&key=o1', 'it has no channel.'],
    ['state/thing?entity=ship&channel=strategy.s1&key=o1', 'The contract has no entity "ship"'],
    ['state/thing?entity=order&channel=strategy.*&key=o1', '"strategy.*" is no channel'],
  ] as const) {
    await page.goto(`${gateway.url}/admin/${path}`);
    await seen(page.getByRole('alert').filter({ hasText: sentence }));
  }
  await page.goto(`${gateway.url}/admin/state/thing?entity=order&channel=strategy.s1&key=1`);
  await seen(page.getByText('There is no such thing now'));
  await seen(page.getByText('No event of it is found'));
  expect(dashboard.complaints).toEqual([]);
});

test('a contract without entities says so', async () => {
  await using gateway = await startGateway({}, {}, { contract: withoutEntities });
  await using dashboard = await openDashboard(browser, gateway.url, { token: await gateway.token('root', 'admin'), path: 'state' });
  const { page } = dashboard;
  await seen(page.getByText('The contract has no entities'));
  expect(await seriousFindings(page)).toEqual([]);
  await page.goto(`${gateway.url}/admin/state/thing?entity=ship&channel=global&key=a`);
  await seen(page.getByText('The contract has no entities'));
  await page.goto(`${gateway.url}/admin/stream`);
  await seen(page.locator('[data-stream="live"]'));
  expect(await page.getByRole('link', { name: 'Their state' }).count()).toBe(0);
  expect(dashboard.complaints).toEqual([]);
});

test('of any contract: keys of several fields, states of any form, and what was forgotten in history', { timeout: 60_000 }, async () => {
  await using gateway = await startGateway({}, {}, { contract: pantry });
  const token = await gateway.token('root', 'admin');
  const put = (shelf: string, jar: string, grams: number) => ({
    type: 'jar.filled',
    channel: 'cellar.north',
    data: { shelf, jar, grams, label: { maker: '<b>x</b>', tags: ['a', '\u202e'] } },
  });
  const drafts = Array.from({ length: 240 }, (_, index) => put('top', index % 2 === 0 ? 'plum' : 'fig', index));
  await publishAll(gateway.url, token, [...drafts, put('a/b', '100%', 7)] as unknown as Drafts);
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'state' });
  const { page } = dashboard;
  await eventually(() => keys(page)).toEqual(['north/a%2Fb/100%25', 'north/top/fig', 'north/top/plum']);
  await page.getByRole('link', { name: 'north/top/plum' }).click();
  await seen(page.locator('[data-fields]').getByText('238'));
  expect(await page.locator('[data-code="label"]').textContent()).toContain('\\u202e');
  await seen(page.locator('[data-shown="120"], [data-shown="100"]'));
  const list = page.getByRole('region', { name: 'Events' });
  await list.evaluate((element) => {
    (element as unknown as { scrollTop: number }).scrollTop = 1e6;
  });
  await seen(list.getByText('That is everything that is retained.'));
  await seen(page.locator('[data-shown="120"]'));
  await publishAll(gateway.url, token, [
    { type: 'jar.emptied', channel: 'cellar.north', data: { shelf: 'top', jar: 'plum' } },
  ] as unknown as Drafts);
  await seen(page.getByText('There is no such thing now'));
  await seen(page.locator('[data-shown="121"]'));
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});

test('of many thousand those that changed last are shown, few of them are in the page, and each is found by its key', {
  timeout: 90_000,
}, async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  await publishAll(
    gateway.url,
    token,
    Array.from({ length: 7000 }, (_, index) => placed(`o${index + 1}`)),
  );
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'state?entity=order' });
  const { page } = dashboard;
  await seen(page.locator('[data-state="live"]'));
  await seen(page.getByText(/^the 5,000 that changed last, of about 7,000/));
  expect(await rows(page).count()).toBeLessThan(60);
  await picture(page, 'state-cut');
  await page.getByLabel('Key').fill('o17');
  await seen(page.getByText('Nothing is found').or(page.locator('[data-things]').filter({ hasText: ' of ' })));
  await page.getByLabel('Key').press('Enter');
  await eventually(() => keys(page)).toEqual(['o17']);
  await seen(page.getByText('1 in all'));
  expect(dashboard.complaints).toEqual([]);
});

test('while the gateway is away it is told since when the state is old; then it is live again', { timeout: 60_000 }, async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
  await using first = await startProcess(env);
  const token = await processToken('root', 'admin');
  await publishAll(first.url, token, [placed('o1'), placed('o2')]);
  await using dashboard = await openDashboard(browser, first.url, { token, path: 'state?entity=order&open=true' });
  const { page } = dashboard;
  await eventually(() => keys(page)).toEqual(['o1', 'o2']);
  await seen(page.locator('[data-state="live"]'));
  await first.end('SIGTERM');
  await seen(page.locator('[data-state="old"]').filter({ hasText: /^As of \d{4}-/ }));
  expect(await keys(page)).toEqual(['o1', 'o2']);
  expect(await seriousFindings(page)).toEqual([]);
  await picture(page, 'state-old');
  await using second = await startProcess({ ...env, COURIER_PORT: new URL(first.url).port });
  await publishAll(second.url, token, [filled('o1', '2', '0'), placed('o3')]);
  const tryNow = page.getByRole('button', { name: 'Try now' });
  if (await tryNow.isVisible()) await tryNow.click({ timeout: 2000 }).catch(() => undefined);
  await seen(page.locator('[data-state="live"]'));
  await eventually(() => keys(page)).toEqual(['o2', 'o3']);
  expect(dashboard.complaints).toEqual([]);
});

test('of another log everything is given anew, and what it does not have is gone', { timeout: 60_000 }, async () => {
  const env = { COURIER_LOG: 'memory:' };
  await using first = await startProcess(env);
  const token = await processToken('root', 'admin');
  await publishAll(first.url, token, [placed('o1'), placed('o2')]);
  await using dashboard = await openDashboard(browser, first.url, { token, path: 'state?entity=order' });
  const { page } = dashboard;
  await eventually(() => keys(page)).toEqual(['o1', 'o2']);
  await seen(page.locator('[data-state="live"]'));
  await first.end('SIGTERM');
  await seen(page.locator('[data-state="old"]'));
  await using second = await startProcess({ ...env, COURIER_PORT: new URL(first.url).port });
  await publishAll(second.url, token, [placed('o2'), placed('o3')]);
  const tryNow = page.getByRole('button', { name: 'Try now' });
  if (await tryNow.isVisible()) await tryNow.click({ timeout: 2000 }).catch(() => undefined);
  await eventually(() => keys(page)).toEqual(['o2', 'o3']);
  await seen(page.locator('[data-state="live"]'));
  expect(dashboard.complaints).toEqual([]);
});

test.each([
  [1280, 'light'],
  [390, 'dark'],
] as const)('at %i px, %s, both pages are accessible and fit', { timeout: 60_000 }, async (width, colorScheme) => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  const longest = 'x'.repeat(64);
  await publishAll(gateway.url, token, [
    ...Array.from({ length: 40 }, (_, index) => placed(`o${index + 1}`, `strategy.s${index % 3}`)),
    filled('o1', '2', '0'),
    placed(longest, `strategy.${longest}`),
  ]);
  await using dashboard = await openDashboard(browser, gateway.url, {
    token,
    colorScheme,
    viewport: { width, height: 800 },
    path: 'state?entity=order',
  });
  const { page } = dashboard;
  const look = async (name: string) => {
    await picture(page, `${name}-${width}-${colorScheme}`);
    expect({ name, findings: await seriousFindings(page), overflow: await overflow(page) }).toEqual({ name, findings: [], overflow: 0 });
  };
  await seen(page.locator('[data-things="42"]'));
  await look('state');
  for (const [name, channel, key] of [
    ['thing', 'strategy.s0', 'o1'],
    ['thing-long', `strategy.${longest}`, longest],
  ]) {
    await page.goto(`${gateway.url}/admin/state/thing?entity=order&channel=${channel}&key=${key}`);
    await seen(page.locator('[data-fields]'));
    await seen(page.locator('[data-shown]'));
    // Rows are as high as the page wants them, and what follows is below them.
    const [row, end] = [page.locator('[data-event]'), page.getByText('That is everything that is retained.')];
    await seen(end);
    const boxes = await Promise.all([row.boundingBox(), end.boundingBox()]);
    expect(boxes[1]?.y).toBeGreaterThanOrEqual((boxes[0]?.y ?? 0) + (boxes[0]?.height ?? 0));
    await look(String(name));
  }
  await page.goto(`${gateway.url}/admin/state/thing?entity=order`);
  await seen(page.getByRole('alert'));
  await look('thing-wrong');
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});
