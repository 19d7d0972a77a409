/** The hooks of states in a real browser, in StrictMode, with each React that they are for, against a real gateway. */
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CourierClient } from '../../client/src/index.ts';
import { CourierProvider, useEntities } from '../../client/src/react.ts';
import type { OpenPage } from './browser/open-page.ts';
import type { View } from './browser/page.ts';
import { REACT_VERSIONS } from './browser/site.ts';
import { eventually, numbers, publishBars, type Stage, setStage, shown } from './browser/stage.ts';
import { filled, moved, placed } from './states.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
});
afterAll(() => stage[Symbol.asyncDispose]());

interface Shown {
  readonly items?: readonly { readonly key: string; readonly state: object }[];
  readonly state?: object;
  readonly isReady: boolean;
  readonly error?: { readonly code: string };
}

const orders = (name: string, options: object = {}, channels: unknown = 'strategy.*'): View => ({
  name,
  hook: 'useEntities',
  args: [channels, 'order'],
  options,
});

function shownKeys(page: OpenPage, view: string) {
  return eventually(async () => (await page.shown<Shown>(view))?.items?.map(({ key }) => key));
}

describe.each(REACT_VERSIONS)('React %s', (react) => {
  test('all that there is is there at once, and changes with it', async () => {
    await using scene = await stage.signedIn(react);
    const { page, trpc } = scene;
    await trpc.events.publishBatch.mutate(numbers(300).map((number) => placed(`o${number}`)));
    await page.drive.render([orders('all'), orders('open', { open: true, where: { 'state.symbol': 'NDX' } }), orders('none', {}, null)]);
    await shown<Shown>(page, 'open').toEqual({ items: [], isReady: true });
    await shown<Shown>(page, 'none').toEqual({ items: [], isReady: false });
    await eventually(async () => (await page.shown<Shown>('all'))?.items?.length).toBe(300);
    expect(await page.drive.record('all')).toMatchObject({ itemsWhenReady: 300 });
    await trpc.events.publishBatch.mutate([placed('n1', { symbol: 'NDX' }), placed('n2', { symbol: 'NDX' })]);
    await shownKeys(page, 'open').toEqual(['n1', 'n2']);
    await eventually(async () => (await page.shown<Shown>('all'))?.items?.length).toBe(302);
    await trpc.events.publishBatch.mutate([filled('n1', '0', { symbol: 'NDX' })]);
    await shownKeys(page, 'open').toEqual(['n2']);
    // The others are the same objects.
    expect(await page.drive.record('open')).toMatchObject({ keptItems: 1 });
    await eventually(async () => (await page.drive.record('all'))?.keptItems).toBe(301);
    expect(page.complaints).toEqual([]);
  });

  test('things by the id of their channel', async () => {
    await using scene = await stage.signedIn(react);
    const { page, trpc, gateway } = scene;
    await publishBars(trpc, [1, 2]);
    await trpc.events.publishBatch.mutate([
      placed('o1'),
      placed('o2', { strategy: 's2' }),
      moved('SPX', '3'),
      moved('NDX', '0'),
      { type: 'forge.job.started', channel: 'forge.job.j1', data: { job_id: 'j1', kind: 'k' } },
      { type: 'strategy.generation.started', channel: 'strategy.s1', data: { strategy_id: 's1' } },
    ]);
    await page.drive.render([
      { name: 'backtest', hook: 'useBacktest', args: ['b1'] },
      { name: 'absent', hook: 'useBacktest', args: ['b2'] },
      { name: 'strategy', hook: 'useStrategy', args: ['s1'] },
      { name: 'job', hook: 'useJob', args: ['j1'] },
      { name: 'orders', hook: 'useOrders', args: ['s1'] },
      { name: 'positions', hook: 'usePositions', args: ['s1'], options: { open: true } },
      { name: 'order', hook: 'useEntity', args: ['strategy.s2', 'order', 'o2'] },
      { name: 'paused', hook: 'useEntity', args: ['strategy.s2', 'order', null] },
      { name: 'nothing', hook: 'useStrategy', args: [null] },
      { name: 'pattern', hook: 'useOrders', args: ['*'] },
    ]);
    await shown<Shown>(page, 'backtest').toMatchObject({ isReady: true, state: { backtest_id: 'b1', progress: 0.5, bars_processed: 2 } });
    await shown<Shown>(page, 'absent').toEqual({ isReady: true });
    await shown<Shown>(page, 'strategy').toMatchObject({ isReady: true, state: { strategy_id: 's1', status: 'generating' } });
    await shown<Shown>(page, 'job').toMatchObject({ isReady: true, state: { job_id: 'j1', kind: 'k', status: 'running' } });
    await shownKeys(page, 'orders').toEqual(['o1']);
    await shownKeys(page, 'positions').toEqual(['s1/SPX']);
    await shown<Shown>(page, 'order').toMatchObject({ isReady: true, state: { order_id: 'o2' } });
    for (const view of ['paused', 'nothing']) await shown<Shown>(page, view).toEqual({ isReady: false });
    await shown<Shown>(page, 'pattern').toMatchObject({ items: [], isReady: false, error: { code: 'INVALID_ARGUMENT' } });
    expect(gateway.census.subscriptions).toBe(7);
    await publishBars(trpc, [1], 'b2');
    await shown<Shown>(page, 'absent').toMatchObject({ state: { backtest_id: 'b2', bars_processed: 1 } });
    expect(page.complaints).toEqual([]);
  });

  test('components that want the same share one watch, and many changes are few renders', async () => {
    await using scene = await stage.signedIn(react);
    const { page, trpc, gateway } = scene;
    const one = orders('one', { keys: ['o1', 'o2'] });
    const two = orders('two', { keys: ['o2', 'o1'] });
    await page.drive.render([one]);
    await shown<Shown>(page, 'one').toMatchObject({ isReady: true });
    await page.drive.render([one, two]);
    // It was there when the second came.
    expect(await page.drive.record('two')).toMatchObject({ itemsWhenReady: 0 });
    expect(gateway.census.subscriptions).toBe(1);
    const before = Number((await page.drive.record('one'))?.commits);
    await trpc.events.publishBatch.mutate([placed('o1'), ...numbers(400).map((left) => filled('o1', `${400 - left}`))]);
    for (const view of ['one', 'two']) await shown<Shown>(page, view).toMatchObject({ items: [{ state: { filled_quantity: '400' } }] });
    expect(Number((await page.drive.record('one'))?.commits) - before).toBeLessThan(50);
    await page.drive.render([two]);
    await trpc.events.publishBatch.mutate([placed('o2')]);
    await shownKeys(page, 'two').toEqual(['o1', 'o2']);
    expect(gateway.census.subscriptions).toBe(1);
    await page.drive.render([]);
    await eventually(() => gateway.census.subscriptions).toBe(0);
    expect(page.complaints).toEqual([]);
  });

  test('a right that is missing is seen, and with a token that grants it they are there', async () => {
    await using scene = await stage.signedIn(react, (gateway) => gateway.token('ada'));
    const { page, gateway, trpc } = scene;
    await trpc.events.publishBatch.mutate([placed('o1')]);
    await page.drive.render([orders('view')]);
    await shown<Shown>(page, 'view').toMatchObject({ items: [], isReady: false, error: { code: 'FORBIDDEN' } });
    await page.drive.setToken(await gateway.token('ada', 'user', { subscribe: ['strategy.*'], jti: 'first' }));
    await shownKeys(page, 'view').toEqual(['o1']);
    expect(await page.shown<Shown>('view')).not.toHaveProperty('error');
    await trpc.admin.revoke.mutate({ jti: 'first' });
    await shown<Shown>(page, 'view').toMatchObject({ items: [{ key: 'o1' }], isReady: true, error: { code: 'UNAUTHORIZED' } });
    await trpc.events.publishBatch.mutate([placed('o2')]);
    await page.drive.setToken(await gateway.token('ada', 'user', { subscribe: ['strategy.*'] }));
    await shownKeys(page, 'view').toEqual(['o1', 'o2']);
    await page.drive.close();
    await shown<Shown>(page, 'view').toMatchObject({ items: [{}, {}], isReady: true, error: { code: 'CLOSED' } });
    expect(page.complaints).toEqual([]);
  });

  test('a server renders without connecting, and a page takes over what it sent', async () => {
    await using scene = await stage.signedIn(react);
    const { page, trpc } = scene;
    await trpc.events.publishBatch.mutate([placed('o1')]);
    const views: View[] = [orders('all'), { name: 'one', hook: 'useEntity', args: ['strategy.s1', 'order', 'o1'] }];
    const html = await page.drive.renderToString(views);
    const rendered = [...html.matchAll(/<pre data-view="\w+">(.*?)<\/pre>/g)].map(([, text]) => text?.replaceAll('&quot;', '"'));
    expect(rendered).toEqual(['{"items":[],"isReady":false}', '{"isReady":false}']);
    await page.drive.hydrate(html, views);
    await shownKeys(page, 'all').toEqual(['o1']);
    await shown<Shown>(page, 'one').toMatchObject({ isReady: true, state: { order_id: 'o1' } });
    expect(page.complaints).toEqual([]);
  });

  test('the latest event is there at first, and none after it is missed or comes before it', async () => {
    await using scene = await stage.signedIn(react);
    const { page, trpc } = scene;
    const latest = (name: string, ...args: unknown[]): View => ({ name, hook: 'useLatest', args });
    const before = await publishBars(trpc, numbers(20));
    const publishing = (async () => {
      for (const bar of numbers(100)) await publishBars(trpc, [bar]);
    })();
    const views = numbers(5).map((number) => latest(`latest${number}`, [`backtest.b${number}`, 'backtest.b1'], 'backtest.progress'));
    for (const [index] of views.entries()) await page.drive.render(views.slice(0, index + 1));
    await publishing;
    await page.drive.render([...views, latest('late', 'backtest.*', 'backtest.progress'), latest('none', 'backtest.*', 'backtest.failed')]);
    for (const { name } of [...views, { name: 'late' }]) {
      await shown<{ data: object }>(page, name).toMatchObject({ data: { bars_processed: 100 } });
      const ids = (await page.drive.record(name))?.latest.map((id) => Number(id.split('-').at(-1))) ?? [];
      expect(ids).toEqual(ids.toSorted((a, b) => a - b));
      expect(ids[0]).toBeGreaterThanOrEqual(before.length);
    }
    expect(await page.shown('none')).toBeUndefined();
    const { id } = await trpc.events.publish.mutate({
      type: 'backtest.failed',
      channel: 'backtest.b9',
      data: { backtest_id: 'b9', code: 'c', message: 'm' },
    });
    await shown<{ id: string }>(page, 'none').toMatchObject({ id });
    expect(page.complaints).toEqual([]);
  });
});

test.each([
  ['open', { open: 'yes' }],
  ['keys', { keys: [] }],
  ['where', { where: 'state.symbol' }],
  ['maxPerSecond', { maxPerSecond: 0 }],
  ['signal', { signal: new AbortController().signal }],
  ['channels', { channels: 5 }],
])('a hook refuses a wrong option by its name: %s', (option, { channels = 'strategy.*', ...options }: Record<string, unknown>) => {
  const client = new CourierClient({ url: 'http://127.0.0.1:9', token: 't' });
  const Component = () => createElement('p', null, useEntities(channels as never, 'order', options as never).items.length);
  const tree = createElement(CourierProvider, { client }, createElement(Component));
  expect(() => renderToString(tree)).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(`^${option}: `) }),
  );
});
