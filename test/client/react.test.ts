/** The React hooks in a real browser, in StrictMode, with each React that they are for, against a real gateway. */
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CourierClient } from '../../client/src/index.ts';
import { CourierProvider, useChannel } from '../../client/src/react.ts';
import type { View } from './browser/page.ts';
import { REACT_VERSIONS } from './browser/site.ts';
import { channelView, eventually, heard, numbers, publishBars, type Stage, setStage, shown, shownBars } from './browser/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
});
afterAll(() => stage[Symbol.asyncDispose]());

describe.each(REACT_VERSIONS)('React %s', (react) => {
  test('events appear as they are published, those of the types that are wanted, as many as are to be kept', async () => {
    await using scene = await stage.signedIn(react);
    const { page, trpc } = scene;
    await page.drive.render([
      channelView('all', 'backtest.b1'),
      channelView('few', ['backtest.b1', 'backtest.b2'], { history: 3 }),
      channelView('none', 'backtest.*', { history: 0 }),
      channelView('starts', 'backtest.*', { types: ['backtest.started'] }),
      { name: 'latest', hook: 'useLatest', args: ['backtest.*', 'backtest.started'] },
    ]);
    for (const view of ['all', 'few', 'none', 'starts']) await shown(page, view).toMatchObject({ status: 'live', events: [] });
    const ids = await publishBars(trpc, numbers(5));
    const data = { backtest_id: 'b1', bars_total: 6 };
    const { id } = await trpc.events.publish.mutate({ type: 'backtest.started', channel: 'backtest.b1', data });
    await shownBars(page, 'all').toEqual([...numbers(5), 'backtest.started']);
    await shownBars(page, 'few').toEqual([4, 5, 'backtest.started']);
    await shown(page, 'none').toMatchObject({ events: [], latest: { id } });
    await shown(page, 'starts').toMatchObject({ events: [{ id, channel: 'backtest.b1', data }] });
    await shown(page, 'latest').toMatchObject({ id, type: 'backtest.started' });
    // However many are kept, each is told once.
    for (const view of ['all', 'few', 'none']) expect(await heard(page, view)).toEqual([...ids, id]);
    await page.drive.clear('all');
    await shown(page, 'all').toEqual({ status: 'live', events: [] });
    expect(page.complaints).toEqual([]);
  });

  test('components that want the same share one subscription, which ends with the last of them', async () => {
    await using scene = await stage.signedIn(react);
    const { page, gateway, trpc } = scene;
    const one = channelView('one', ['backtest.b1', 'backtest.b2']);
    const two = channelView('two', ['backtest.b2', 'backtest.b1', 'backtest.b1']);
    await page.drive.render([one]);
    await shown(page, 'one').toMatchObject({ status: 'live' });
    await publishBars(trpc, [1]);
    await shownBars(page, 'one').toEqual([1]);
    await page.drive.render([one, two]);
    await shownBars(page, 'two').toEqual([1]);
    const later = await publishBars(trpc, [2]);
    for (const view of ['one', 'two']) await shownBars(page, view).toEqual([1, 2]);
    expect(await heard(page, 'two')).toEqual(later);
    await page.drive.render([two]);
    await publishBars(trpc, [3]);
    await shownBars(page, 'two').toEqual([1, 2, 3]);
    expect(await page.drive.bookkeeping()).toMatchObject({ subscribed: 1, open: 1 });
    expect(gateway.pipeline.hub.subscribers).toBe(1);
    await page.drive.render([]);
    await eventually(() => gateway.pipeline.hub.subscribers).toBe(0);
    expect(await page.drive.bookkeeping()).toEqual({ subscribed: 1, open: 0, watchers: 0 });
    expect(page.complaints).toEqual([]);
  });

  test('nothing is left after 1,000 mounts', async () => {
    await using scene = await stage.signedIn(react);
    const { page, gateway } = scene;
    await page.drive.remount(channelView('view', 'backtest.b1'), 1000);
    expect(await page.drive.bookkeeping()).toEqual({ subscribed: 1000, open: 0, watchers: 0 });
    // The gateway has looked at all of it once it has answered what came after.
    await page.drive.render([channelView('after', 'backtest.b2')]);
    await shown(page, 'after').toMatchObject({ status: 'live' });
    await eventually(() => gateway.pipeline.hub.busiest(10)).toEqual([{ channel: 'backtest.b2', subscribers: 1 }]);
    expect(page.complaints).toEqual([]);
  });

  test('a burst of 1,000 events is shown in few renders, and complete', async () => {
    await using scene = await stage.signedIn(react);
    const { page, trpc } = scene;
    await page.drive.render([channelView('long', 'backtest.b1', { history: 1000 }), channelView('short', 'backtest.b1', { history: 2 })]);
    for (const view of ['long', 'short']) await shown(page, view).toMatchObject({ status: 'live' });
    const before = await page.drive.record('short');
    const ids = await publishBars(trpc, numbers(1000));
    await shownBars(page, 'long').toEqual(numbers(1000));
    await shownBars(page, 'short').toEqual([999, 1000]);
    expect(await heard(page, 'short')).toEqual(ids);
    const after = await page.drive.record('short');
    expect(Number(after?.commits) - Number(before?.commits)).toBeLessThan(50);
    // What was there before is all there at once when it is live.
    await page.drive.render([channelView('replayed', 'backtest.b1', { history: 1000, from: 'earliest' })]);
    await shownBars(page, 'replayed').toEqual(numbers(1000));
    await shown(page, 'replayed').toMatchObject({ status: 'live' });
    expect(await page.drive.record('replayed')).toMatchObject({ eventsWhenLive: 1000 });
    expect(page.complaints).toEqual([]);
  });

  test('other channels begin anew, none pause, and what did not change is the same', async () => {
    await using scene = await stage.signedIn(react);
    const { page, gateway, trpc } = scene;
    const view = (channels: string | string[] | null, label: string) => ({ ...channelView('view', channels), label });
    await page.drive.render([view(['backtest.b1'], 'first')]);
    await shown(page, 'view').toMatchObject({ status: 'live' });
    const [one] = await publishBars(trpc, [1]);
    await shownBars(page, 'view').toEqual([1]);
    const before = await page.drive.record('view');
    await page.drive.render([view(['backtest.b1'], 'second')]);
    const [two] = await publishBars(trpc, [2]);
    await shownBars(page, 'view').toEqual([1, 2]);
    const after = await page.drive.record('view');
    expect(after?.heard.map((entry) => entry.join())).toEqual([`first,${one}`, `second,${two}`]);
    // Committed for the other label and for the event; changed by the event only.
    expect(after).toMatchObject({ commits: Number(before?.commits) + 2, changes: Number(before?.changes) + 1 });
    await page.drive.render([view('backtest.b2', 'third')]);
    await shown(page, 'view').toMatchObject({ status: 'live', events: [] });
    await publishBars(trpc, [3], 'b1');
    await publishBars(trpc, [4], 'b2');
    await shownBars(page, 'view').toEqual([4]);
    for (const none of [null, []]) {
      await page.drive.render([view(none, 'none')]);
      await shown(page, 'view').toEqual({ status: 'paused', events: [] });
      await eventually(() => gateway.pipeline.hub.subscribers).toBe(0);
    }
    await page.drive.render([view('backtest.b2', 'again')]);
    await shown(page, 'view').toMatchObject({ status: 'live', events: [] });
    expect(page.complaints).toEqual([]);
  });

  test('families by id, an id that is none, and oneself', async () => {
    await using scene = await stage.signedIn(react);
    const { page, gateway, trpc } = scene;
    await page.drive.render([
      { name: 'backtest', hook: 'useBacktestEvents', args: ['b1'] },
      { name: 'strategy', hook: 'useStrategyEvents', args: ['s1'], options: { types: ['trade.executed'] } },
      { name: 'job', hook: 'useForgeJobEvents', args: ['j1'] },
      { name: 'own', hook: 'useUserEvents', args: [undefined] },
      { name: 'other', hook: 'useUserEvents', args: ['bob'] },
      { name: 'nobody', hook: 'useUserEvents', args: [null] },
      { name: 'nothing', hook: 'useBacktestEvents', args: [null] },
      { name: 'pattern', hook: 'useForgeJobEvents', args: ['*'] },
    ]);
    for (const view of ['backtest', 'strategy', 'job', 'own', 'other']) await shown(page, view).toMatchObject({ status: 'live' });
    for (const view of ['nobody', 'nothing']) await shown(page, view).toMatchObject({ status: 'paused' });
    await shown(page, 'pattern').toMatchObject({ status: 'failed', error: { code: 'INVALID_ARGUMENT' } });
    const topics = gateway.pipeline.hub.busiest(10).map(({ channel }) => channel);
    expect(topics).toEqual(['backtest.b1', 'forge.job.j1', 'strategy.s1', 'user.ada', 'user.bob']);
    const data = { job_id: 'j1', kind: 'test' };
    for (const channel of ['user.ada', 'user.bob', 'forge.job.j1'] as const) {
      await trpc.events.publish.mutate({ type: 'forge.job.started', channel, data });
    }
    await shown(page, 'own').toMatchObject({ events: [{ channel: 'user.ada', data }] });
    await shown(page, 'other').toMatchObject({ events: [{ channel: 'user.bob', data }] });
    await shown(page, 'job').toMatchObject({ events: [{ channel: 'forge.job.j1', data }] });
    expect(page.complaints).toEqual([]);
  });

  test('a component that fails disturbs no other, and a closed client is seen', async () => {
    await using scene = await stage.signedIn(react);
    const { page, trpc } = scene;
    await page.drive.render([{ ...channelView('bad', 'backtest.b1'), label: 'throws' }, channelView('good', 'backtest.b1')]);
    await shown(page, 'good').toMatchObject({ status: 'live' });
    const ids = await publishBars(trpc, [1, 2]);
    await shownBars(page, 'good').toEqual([1, 2]);
    expect(await heard(page, 'good')).toEqual(ids);
    await eventually(() => page.complaints).toEqual(
      Array(2).fill(expect.stringMatching(/^a callback of a Courier client has failed Error: onEvent fails/)),
    );
    await page.drive.close();
    await shown(page, 'good').toMatchObject({ status: 'failed', error: { code: 'CLOSED' }, events: [{}, {}] });
    await page.drive.render([channelView('late', 'backtest.b2')]);
    await shown(page, 'late').toMatchObject({ status: 'failed', error: { code: 'CLOSED' } });
  });

  test('a server renders without connecting, and a page takes over what it sent', async () => {
    await using scene = await stage.signedIn(react);
    const { page } = scene;
    const views: View[] = [
      channelView('view', 'backtest.b1'),
      channelView('paused', null),
      { name: 'own', hook: 'useUserEvents', args: [undefined] },
      { name: 'latest', hook: 'useLatest', args: ['backtest.*', 'backtest.started'] },
      { name: 'connection', hook: 'useCourierConnection' },
    ];
    const html = await page.drive.renderToString(views);
    const rendered = [...html.matchAll(/<pre data-view="(\w+)">(.*?)<\/pre>/g)].map(([, view, text]) => `${view} ${text}`);
    expect(rendered.map((text) => text.replaceAll('&quot;', '"'))).toEqual([
      'view {"events":[],"status":"connecting"}',
      'paused {"events":[],"status":"paused"}',
      'own {"events":[],"status":"connecting"}',
      'latest ',
      'connection {"status":"idle"}',
    ]);
    expect(await page.drive.bookkeeping()).toEqual({ subscribed: 0, open: 0, watchers: 0 });
    await page.drive.hydrate(html, views);
    for (const view of ['view', 'own']) await shown(page, view).toMatchObject({ status: 'live' });
    expect(page.complaints).toEqual([]);
  });
});

test('what is used wrongly says so', () => {
  const client = new CourierClient({ url: 'http://127.0.0.1:8766', token: 'none' });
  const Events = ({ history }: { history?: number }) => useChannel('backtest.b1', { history }).status;
  expect(() => renderToString(createElement(Events))).toThrow('there is no CourierProvider above this component');
  for (const history of [Number.POSITIVE_INFINITY, -1, 0.5]) {
    const tree = createElement(CourierProvider, { client }, createElement(Events, { history }));
    expect(() => renderToString(tree)).toThrow(`history: must be a number of events, and is ${history}`);
  }
});

test.each([
  ['channels', { channels: 5 }],
  ['types', { types: 'backtest.progress' }],
  ['from', { from: 'then' }],
  ['lastEventId', { lastEventId: 5 }],
  ['history', { history: Number.NaN }],
  ['onEvent', { onEvent: 'f' }],
  ['onGap', { onGap: 'continue' }],
])('a hook refuses a wrong option by its name: %s', (option, { channels = 'backtest.b1', ...options }: Record<string, unknown>) => {
  const client = new CourierClient({ url: 'http://127.0.0.1:9', token: 't' });
  const Component = () => createElement('p', null, useChannel(channels as never, options as never).status);
  const tree = createElement(CourierProvider, { client }, createElement(Component));
  expect(() => renderToString(tree)).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(`^${option}: `) }),
  );
});
