/** The dashboard of a gateway with a contract that the page was not built with: everything that it names is that contract's. */
import { execFile } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { typescriptOf } from '../../scripts/contract/typescript.ts';
import { defineContract, defineService } from '../../src/contract/define.ts';
import { id } from '../../src/contract/fields.ts';
import { launchChromium } from '../helpers/chromium.ts';
import { CONTRACT_HASH, contract, DOCUMENT } from '../helpers/docks.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { eventually, openDashboard, overflow, picture, seen, seriousFindings } from './stage.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

const startHarbour = (env: Record<string, string> = {}) => startGateway(env, {}, { contract });

async function publish(gateway: TestGateway, who: string, event: object): Promise<void> {
  const token = await gateway.token(who, who === 'root' ? 'admin' : 'service');
  const response = await fetch(`${gateway.url}/publish`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(event),
  });
  expect([response.status, response.status === 201 ? '' : await response.text()]).toEqual([201, '']);
}

const metadata = { correlation_id: 'call-1' };

async function publishCall(gateway: TestGateway): Promise<void> {
  const moored = { ship_id: 'aurora', berth: 'north', draught_m: 7 };
  await publish(gateway, 'tugs', { type: 'tug.sent', channel: 'global', data: { tug: 'Bulldog' }, metadata });
  await publish(gateway, 'pilots', { type: 'ship.moored', channel: 'ship.aurora', data: moored, metadata });
  await publish(gateway, 'cranes', {
    type: 'crane.lifted',
    channel: 'berth.crane.c1',
    data: { crane_id: 'c1', container: 'MSKU-1', tonnes: 2 },
    metadata,
  });
  await publish(gateway, 'customs', { type: 'container.released', channel: 'ship.aurora', data: { container: 'MSKU-1' }, metadata });
  await publish(gateway, 'tides', { type: 'tide.turned', channel: 'global', data: { to: 'ebb' }, metadata });
  await publish(gateway, 'root', { type: 'ship.sailed', channel: 'ship.aurora', data: { ship_id: 'aurora' }, metadata });
}

test('the services have colours of their own, others a neutral one, and lanes are named by what events are about', async () => {
  await using gateway = await startHarbour();
  await publishCall(gateway);
  const token = await gateway.token('root', 'admin');
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'trace/call-1', colorScheme: 'light' });
  const { page } = dashboard;
  const lanes = page.locator('[data-lane]');
  await eventually(() => lanes.count()).toBe(6);
  const told = await lanes.evaluateAll((all) =>
    all.map((lane) => {
      const { dataset, children } = lane as unknown as {
        dataset: { lane: string };
        children: { querySelector(of: string): { style: { background: string } } }[];
      };
      return [dataset.lane, children[0]?.querySelector('.swatch').style.background];
    }),
  );
  expect(Object.fromEntries(told)).toEqual({
    'tug.sent': 'rgb(92, 148, 13)',
    'ship aurora': expect.any(String),
    'crane c1': 'rgb(28, 126, 214)',
    'container MSKU-1': 'rgb(12, 166, 120)',
    'tide.turned': 'rgb(174, 62, 201)',
  });
  expect(told.filter(([lane]) => lane === 'ship aurora').map(([, color]) => color)).toEqual(['rgb(247, 103, 7)', 'rgb(73, 80, 87)']);
  await picture(page, 'docks-trace');
  // The page shows the gateway's contract, and nobody is told of an update.
  expect(await page.getByText('The gateway was updated').count()).toBe(0);
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});

test('the stream is filtered by types of the contract, and a link with others is no harm', async () => {
  await using gateway = await startHarbour();
  await publishCall(gateway);
  const token = await gateway.token('root', 'admin');
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'stream' });
  const { page } = dashboard;
  await seen(page.locator('[data-shown="6"]'));
  await page.getByRole('button', { name: 'Filters' }).click();
  await page.getByRole('combobox', { name: 'Types' }).click();
  const options = await page.getByRole('option').allTextContents();
  expect(options).toEqual(Object.values(DOCUMENT['x-services']).flat());
  await page.getByRole('option', { name: 'tide.turned' }).click();
  await seen(page.locator('[data-shown="1"]'));
  for (const [types, shown] of [
    [['backtest.started', 'ship.sailed', 'constructor'], 1],
    [['backtest.started'], 0],
  ] as const) {
    await page.goto(`${gateway.url}/admin/stream?types=${encodeURIComponent(JSON.stringify(types))}`);
    await seen(page.getByRole('alert').filter({ hasText: 'The contract does not have backtest.started' }));
    if (shown > 0) await seen(page.locator(`[data-shown="${shown}"]`));
    else await seen(page.getByText('Nothing can be shown'));
    expect(await seriousFindings(page)).toEqual([]);
  }
  await picture(page, 'docks-unknown-type');
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await seen(page.locator('[data-shown="6"]'));
  await page.goto(`${gateway.url}/admin/stream?channels=backtest.*`);
  await seen(page.getByRole('alert').filter({ hasText: '"backtest.*" can match no channel' }));
  await page.goto(`${gateway.url}/admin/publish?type=toString`);
  await seen(page.getByText('is no type of the contract'));
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});

test('an example fills the form, of several the chosen one, and can be published as it is', async () => {
  await using gateway = await startHarbour();
  await using dashboard = await openDashboard(browser, gateway.url, {
    token: await gateway.token('root', 'admin'),
    path: 'publish?type=ship.moored',
  });
  const { page } = dashboard;
  const fill = page.getByRole('button', { name: 'Fill in an example' });
  const publishIt = page.getByRole('button', { name: 'Publish', exact: true });
  await seen(page.getByText('A ship has made fast.'));
  await fill.click();
  await eventually(() => page.getByLabel('draught_m').inputValue()).toBe('7.5');
  expect(await page.getByLabel('Channel').inputValue()).toBe('ship.aurora');
  // The channel still follows from the data.
  await page.getByLabel('ship_id').fill('b');
  expect(await page.getByLabel('Channel').inputValue()).toBe('ship.b');
  await publishIt.click();
  await seen(page.getByText('Published on ship.b'));
  await page.getByLabel('Type').selectOption('tug.sent');
  await fill.click();
  await picture(page, 'docks-examples');
  await page.getByRole('menuitem', { name: 'tug=Bulldog' }).click();
  await publishIt.click();
  await seen(page.getByText('Published on ship.example'));
  await page.getByText('JSON', { exact: true }).click();
  await fill.click();
  await seen(page.getByRole('menuitem', { name: 'tug=Terrier' }));
  expect(await seriousFindings(page)).toEqual([]);
  await page.getByRole('menuitem', { name: 'tug=Terrier' }).click();
  await eventually(() => page.getByLabel('Data as JSON').inputValue()).toBe(JSON.stringify({ tug: 'Terrier', ship_id: 'aurora' }, null, 2));
  await publishIt.click();
  await seen(page.getByText('Published on ship.aurora'));
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});

test('the contract is told with descriptions, versions, titles and examples', async () => {
  await using gateway = await startHarbour();
  await using dashboard = await openDashboard(browser, gateway.url, { token: await gateway.token('root', 'admin'), path: 'contract' });
  const { page } = dashboard;
  const moored = page.locator('[data-type="ship.moored"]');
  await seen(moored.getByText('A ship has made fast.'));
  await seen(moored.getByText('Version 2'));
  expect(await page.getByText(/^Version \d/).count()).toBe(1);
  await seen(page.getByText('A crane at a berth'));
  await seen(page.getByText('docks', { exact: true }));
  await seen(page.locator('[data-type="courier.gap"]').getByText(/^Events are missing/));
  await page.getByRole('button', { name: 'Examples of crane.lifted' }).click();
  await eventually(() => page.locator('[data-code="example of crane.lifted"]').count()).toBe(2);
  expect(await page.getByLabel('Search').getAttribute('placeholder')).toBe('crane.');
  await page.goto(`${gateway.url}/admin/channels`);
  await seen(page.getByText('such as ship.*'));
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});

test('code is written for the types that are exported from the contract, and does what the page shows', { timeout: 60_000 }, async () => {
  await using gateway = await startHarbour();
  using folder = temporaryFolder();
  const token = await gateway.token('root', 'admin');
  const data = { ship_id: 'aurora', berth: `"north" $HOME 'x'`, draught_m: 7 };
  await publish(gateway, 'pilots', { type: 'ship.moored', channel: 'ship.aurora', data });
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'stream?channels=ship.*&types=["ship.moored"]' });
  const { page } = dashboard;
  symlinkSync(`${ROOT}node_modules`, folder.file('node_modules'));
  writeFileSync(folder.file('package.json'), '{ "type": "module" }');
  writeFileSync(folder.file('events.ts'), typescriptOf(DOCUMENT, CONTRACT_HASH));
  await page.getByRole('button', { name: 'As code' }).click();
  writeFileSync(folder.file('subscribe.ts'), await codeIn(page, 'Subscribe to this', 'typescript'));
  await run('python3', ['-c', PYTHON_CHECK, await codeIn(page, 'Subscribe to this', 'python')]);
  await page.keyboard.press('Escape');
  await page.locator('[data-event] button').click();
  writeFileSync(folder.file('publish.ts'), await codeIn(page, 'Event', 'typescript'));
  await run('python3', ['-c', PYTHON_CHECK, await codeIn(page, 'Event', 'python')]);
  const options = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--target',
    'es2024',
    '--module',
    'nodenext',
    '--allowImportingTsExtensions',
    '--types',
    'node',
  ];
  const env = { ...process.env, COURIER_TOKEN: token };
  const compiler = `${ROOT}node_modules/.bin/tsc`;
  await run(compiler, [...options, 'subscribe.ts', 'publish.ts'], { cwd: folder.path }).catch(({ stdout }) => expect(stdout).toBe(''));
  await run(process.execPath, ['publish.ts'], { env, cwd: folder.path });
  await run('bash', ['-c', await codeIn(page, 'Event', 'curl')], { env });
  await eventually(() => page.locator('[data-shown]').getAttribute('data-shown')).toBe('3');
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});

const PYTHON_CHECK = `
import ast, sys
tree = ast.parse(sys.argv[1])
calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "CourierClient"]
assert any(keyword.arg == "contract" and keyword.value.id == "contract" for keyword in calls[0].keywords), ast.dump(calls[0])
assert any(isinstance(node, ast.Import) and node.names[0].name == "contract" for node in ast.walk(tree))
`;

async function codeIn(page: Page, title: string, language: 'curl' | 'typescript' | 'python'): Promise<string> {
  const names = { curl: 'curl', typescript: 'TypeScript', python: 'Python' };
  const dialog = page.getByRole('dialog', { name: title });
  await dialog.getByRole('tab', { name: names[language] }).click();
  const code = dialog.locator(`[data-code="${language}"]`);
  await seen(code);
  return String(await code.textContent());
}

test('events that cannot be read any more are told of in words, in history and live', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
  const old = defineService({
    events: {
      'ship.moored': {
        on: ['ship'],
        description: 'A ship has made fast.',
        data: z.strictObject({ ship_id: id, berth: z.string() }),
        examples: [{ ship_id: 'aurora', berth: 'north' }],
      },
    },
  });
  const earlier = defineContract({ name: 'docks', families: { ship: { id: 'ship_id' } }, services: { pilots: old } });
  {
    await using gateway = await startGateway(env, {}, { contract: earlier });
    for (const berth of ['north', 'lost', 'south'])
      await publish(gateway, 'pilots', { type: 'ship.moored', channel: 'ship.aurora', data: { ship_id: 'aurora', berth } });
  }
  await using gateway = await startHarbour(env);
  const token = await gateway.token('root', 'admin');
  await using dashboard = await openDashboard(browser, gateway.url, { token, path: 'stream' });
  const { page } = dashboard;
  await seen(page.locator('[data-shown="3"]'));
  const rows = async () =>
    (await page.getByRole('region', { name: 'Events' }).locator('[data-event]').allTextContents()).map(
      (text) => /berth=\w+|missing/.exec(text)?.[0],
    );
  await eventually(rows).toEqual(['berth=south', 'missing', 'berth=north']);
  await seen(page.getByText(/the form of their type has changed/));
  expect(await seriousFindings(page)).toEqual([]);
  await picture(page, 'docks-unreadable');
  const { events } = (await (
    await fetch(`${gateway.url}/events/ship.aurora`, { headers: { authorization: `Bearer ${token}` } })
  ).json()) as { events: { id: string }[] };
  await page.goto(`${gateway.url}/admin/stream?after=${events[0]?.id}`);
  await eventually(rows).toEqual(['berth=south', 'missing']);
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});

test('data of any form, and names as long as they may be, have a form that fits and publishes the example', {
  timeout: 60_000,
}, async () => {
  const long = {
    type: `a.${'t'.repeat(126)}`,
    family: [60, 60, 64].map((length) => 'f'.repeat(length)).join('.'),
    service: 's'.repeat(64),
  };
  const data = z.strictObject({
    part_id: id,
    point: z.strictObject({ x: z.number(), y: z.number() }),
    shape: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('round'), radius: z.number() }),
      z.strictObject({ kind: z.literal('square'), side: z.number() }),
    ]),
    note: z.string().nullable(),
    remark: z.string().nullable(),
    grade: z.literal([1, 2, 3]),
    unit: z.literal('mm'),
    counts: z.record(z.string(), z.int()),
    rows: z.array(z.array(z.strictObject({ cell: z.boolean() }))),
    anything: z.unknown(),
    maybe: z.strictObject({ deep: z.strictObject({ er: z.enum(['a', 'b']).optional() }) }).optional(),
  });
  const example = {
    part_id: 'p1',
    point: { x: 1, y: -2.5 },
    shape: { kind: 'round', radius: 3 } as const,
    note: null,
    remark: '5',
    grade: 2,
    unit: 'mm',
    counts: { screws: 4 },
    rows: [[{ cell: true }, { cell: false }], []],
    anything: [{ any: 'thing' }, 1, null],
    maybe: { deep: { er: 'b' } },
  } as const;
  const events = { [long.type]: { on: [long.family], description: 'd'.repeat(300), data, examples: [example] as const } };
  const workshop = defineContract({
    name: 'workshop',
    families: { [long.family]: { id: 'part_id', title: 't'.repeat(200) } },
    services: { [long.service]: { events } },
  });
  await using gateway = await startGateway({}, {}, { contract: workshop });
  const token = await gateway.token('root', 'admin');
  await using dashboard = await openDashboard(browser, gateway.url, {
    token,
    path: `publish?type=${long.type}`,
    viewport: { width: 390, height: 800 },
  });
  const { page } = dashboard;
  await page.getByRole('button', { name: 'Fill in an example' }).click();
  await eventually(() => page.getByLabel('part_id').inputValue()).toBe('p1');
  await picture(page, 'workshop-publish');
  expect([await overflow(page), await seriousFindings(page)]).toEqual([0, []]);
  await page.getByRole('button', { name: 'Publish', exact: true }).click();
  await seen(page.locator('[data-result]'));
  const answer = await fetch(`${gateway.url}/events/${long.family}.p1`, { headers: { authorization: `Bearer ${token}` } });
  expect(await answer.json()).toMatchObject({ events: [{ type: long.type, data: example }] });
  for (const path of ['contract', 'channels', 'stream', 'stream?types=["nothing"]']) {
    await page.goto(`${gateway.url}/admin/${path}`);
    await seen(page.getByRole('main').getByRole('heading', { level: 1 }));
    await eventually(() => page.locator('[role="status"][aria-label$=": loading"]').count()).toBe(0);
    await picture(page, `workshop-${path.replace(/\W.*/, '')}`);
    expect([path, await overflow(page), await seriousFindings(page)]).toEqual([path, 0, []]);
  }
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});

const PAGES = ['', 'connections', 'channels', 'stream', 'state', 'trace/call-1', 'publish?type=tug.sent', 'contract'];
test.each([
  [1280, 'dark'],
  [390, 'light'],
] as const)('every page at %i px, %s, is accessible and fits', { timeout: 90_000 }, async (width, colorScheme) => {
  await using gateway = await startHarbour();
  await publishCall(gateway);
  const token = await gateway.token('root', 'admin');
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
    await picture(page, `docks-${path.replace(/\W.*/, '') || 'overview'}-${colorScheme}`);
  }
  expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
});
