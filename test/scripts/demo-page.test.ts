/** The page that the demo serves, looked at in a browser while the demo works, and while its gateway is away. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { startSite } from '../../scripts/demo/page.ts';
import { overflow, picture, seen, seriousFindings } from '../dashboard/stage.ts';
import { launchChromium } from '../helpers/chromium.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { httpClient, startGateway } from '../helpers/gateway.ts';
import { keepDemo, startedBy } from './kept-demo.ts';

/** What the page keeps and shows of the events that a panel selects. */
const HISTORY = 1000;
const SHOWN = 8;
const PANELS: readonly { readonly title: string; readonly types: RegExp }[] = [
  { title: 'Backtests', types: /^backtest\./ },
  { title: 'Strategies', types: /^strategy\./ },
  { title: 'Orders', types: /^order\./ },
  { title: 'Positions', types: /^position\./ },
];

/** Looks again until what is expected is there: a round of the research takes ten seconds where little else runs. */
function eventually<T>(read: () => T | Promise<T>) {
  return expect.poll(read, { timeout: 60_000, interval: 100 });
}

interface Panel {
  readonly title: string;
  readonly events: number;
  readonly rows: readonly string[];
}

test('the page shows all that happens, also through a restart of the gateway', { timeout: 180_000 }, async () => {
  await using browser = await launchChromium();
  await using demo = keepDemo();
  const [, gateway = '', token = ''] = await demo.line(/^dashboard: (\S+)\/admin\/#token=(\S+)$/);
  const [, address = ''] = await demo.line(/^page: (http:\/\/127\.0\.0\.1:\d+\/)$/);
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // That the gateway is away is no fault of the page.
    if (message.type() !== 'log' && !message.text().startsWith('WebSocket connection to')) complaints.push(message.text());
  });
  await page.goto(address);
  await seen(page.getByRole('status').getByText('Connected as ada'));
  await demo.line(/^published (\d+), stored \1, delivered \1, lost 0/);
  const { events } = httpClient(gateway, token);

  /** What the page should show of what is stored. */
  const stored = async (): Promise<Panel[]> => {
    const all: { type: string; channel: string; data: object }[] = [];
    for (let after: string | undefined; ; ) {
      const read = await events.history.query({
        channels: ['strategy.*', 'backtest.*'],
        limit: 1000,
        ...(after !== undefined && { after }),
      });
      all.push(...read.events);
      if (!read.has_more) break;
      after = read.next;
    }
    return PANELS.map(({ title, types }) => {
      const kept = all.filter(({ type }) => types.test(type)).slice(-HISTORY);
      const keys = kept.map((event) => keyOf(event.channel, event.data)).reverse();
      return { title, events: kept.length, rows: [...new Set(keys)].slice(0, SHOWN) };
    });
  };
  const shown = async (): Promise<Panel[]> => {
    return Promise.all(
      PANELS.map(async ({ title }) => {
        const panel = page.locator(`[data-panel="${title}"]`);
        const [, count] = / from (\d+) events$/.exec(await panel.locator('small').innerText()) ?? [];
        const rows = await panel.locator('[data-row]').all();
        const ids = await Promise.all(rows.map(async (row) => String(await row.getAttribute('data-row'))));
        return { title, events: Number(count), rows: ids };
      }),
    );
  };
  const agrees = () =>
    eventually(async () => {
      const [page, log] = [await shown(), await stored()];
      return JSON.stringify(page) === JSON.stringify(log) ? 'the same' : { page, log };
    }).toBe('the same');
  await agrees();
  await seen(page.locator('[data-panel="Backtests"] [data-row="bt-sma-50-200"]').getByText('173.8% return, 33.9% drawdown, 10 trades'));

  await page.evaluate(`
    statuses = [];
    new MutationObserver(() => statuses.push(document.querySelector('.connection').dataset.status))
      .observe(document.querySelector('.connection'), { attributeFilter: ['data-status'] });
  `);
  const before = await shown();
  const [running] = startedBy(demo.pid).filter(({ command }) => command.endsWith('main.ts'));
  process.kill(running?.pid as number, 'SIGKILL');
  await demo.line(/^the gateway on \S+ has ended, and is started again$/);
  await eventually(() => page.evaluate('statuses')).toEqual(['connecting', 'connected']);
  await eventually(async () => (await shown())[0]?.events).toBeGreaterThan((before[0]?.events ?? 0) + 20);
  await agrees();
  await page.reload();
  await agrees();

  for (const [width, height] of [
    [1280, 800],
    [390, 844],
  ] as const) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      expect([width, colorScheme, await overflow(page), await seriousFindings(page)]).toEqual([width, colorScheme, 0, []]);
      await picture(page, `demo-page-${width}-${colorScheme}`);
    }
  }
  expect(complaints).toEqual([]);
});

test('it gives its token to no other site, nor under the name of one', async () => {
  await using stack = new AsyncDisposableStack();
  using folder = temporaryFolder();
  const site = await startSite(folder.path, async () => 'a token', stack);
  const { host, port, origin } = new URL(site.origin);
  const ask = async (headers: Record<string, string>) => {
    const sent = request({ host: '127.0.0.1', port, path: '/session/courier-token', headers }).end();
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    return [answer.statusCode, await text(answer)];
  };
  for (const headers of [{ host }, { host, origin }]) expect(await ask(headers)).toEqual([200, 'a token']);
  for (const headers of [
    { host: `evil.example:${port}` },
    { host: `127.0.0.1` },
    { host, origin: 'http://evil.example' },
    { host, origin: 'null' },
  ])
    expect(await ask(headers)).toEqual([421, '']);
});

test('it says what it cannot show, and what is missing', { timeout: 120_000 }, async () => {
  await using stack = new AsyncDisposableStack();
  using folder = temporaryFolder();
  let token = async () => 'no token';
  const site = await startSite(folder.path, () => token(), stack);
  const env = { COURIER_ALLOWED_ORIGINS: site.origin };
  let gateway = await startGateway(env);
  stack.defer(() => gateway[Symbol.asyncDispose]());
  await site.open(gateway.url);
  const browser = stack.use(await launchChromium());
  const page = await browser.newPage();
  const panel = (title: string) => page.locator(`[data-panel="${title}"]`);

  await page.goto(site.origin);
  await seen(page.getByRole('status').getByText('Refused: '));
  await seen(panel('Backtests').getByRole('alert').getByText('This cannot be shown: '));
  token = () => gateway.token('ada', 'user', { subscribe: ['strategy.*'] });
  await page.getByRole('button', { name: 'Sign in again' }).click();
  await seen(page.getByRole('status').getByText('Connected as ada'));
  await seen(panel('Strategies').getByText('Nothing yet.'));
  await seen(panel('Backtests').getByRole('alert').getByText('ada'));

  token = () => gateway.token('ada', 'user', { subscribe: ['strategy.*', 'backtest.*'] });
  const data = { strategy_id: 's1', progress: 0.5, stage: 'choosing <b>windows</b>' };
  const publish = async () => {
    const { prophet } = gateway.httpClient(await gateway.token('prophet', 'service'));
    await prophet.publish.mutate({ channel: 'strategy.s1', type: 'strategy.generation.progress', data });
  };
  await publish();
  await page.reload();
  await seen(panel('Strategies').getByText('50.0% choosing <b>windows</b>'));
  // Another log in the same place: whether the page missed any of its events nobody can tell.
  const { port } = gateway;
  await gateway[Symbol.asyncDispose]();
  gateway = await startGateway({ ...env, COURIER_PORT: String(port) });
  await seen(panel('Strategies').getByRole('alert').getByText('Some events are missing (epoch)'));
  await panel('Strategies').getByRole('button', { name: 'Start anew' }).click();
  await seen(panel('Strategies').getByText('Nothing yet.'));
  await publish();
  await seen(panel('Strategies').getByText('1 of 1, from 1 event'));
  await page.close();
});

/** What a row of the page is of. */
function keyOf(channel: string, data: object): string {
  const strategy = channel.replace('strategy.', '');
  if ('backtest_id' in data) return String(data.backtest_id);
  if ('order_id' in data) return `${strategy} ${data.order_id}`;
  return 'symbol' in data ? `${strategy} ${data.symbol}` : strategy;
}
