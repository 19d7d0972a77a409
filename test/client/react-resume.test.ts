/** What the React hooks show when a token, a right, or the gateway goes away and comes back, and when events are missing. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/folder.ts';
import { webSocketClient } from '../helpers/gateway.ts';
import { type GatewayProcess, processToken, startProcess } from '../helpers/process.ts';
import type { OpenPage } from './browser/open-page.ts';
import { REACT_VERSIONS } from './browser/site.ts';
import { channelView, heard, numbers, publishBars, type Stage, setStage, shown, shownBars } from './browser/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
});
afterAll(() => stage[Symbol.asyncDispose]());

describe.each(REACT_VERSIONS)('React %s', (react) => {
  test('a token that has expired is seen, and with another one it goes on where it was', async () => {
    await using scene = await stage.signedIn(react, (gateway) => gateway.token('ada', 'admin', { expiresInSeconds: 2 }));
    const { page, gateway, trpc } = scene;
    await publishBars(trpc, [1]);
    const views = [channelView('view', 'backtest.b1', { from: 'earliest' }), channelView('wrong', 'backtests.b1')];
    await page.drive.render([...views, { name: 'connection', hook: 'useCourierConnection' }]);
    await shown(page, 'view').toMatchObject({ status: 'failed', error: { code: 'UNAUTHORIZED' } });
    await shown(page, 'connection').toMatchObject({ status: 'refused', error: { code: 'UNAUTHORIZED' } });
    await page.drive.render([...views, channelView('late', 'backtest.b2')]);
    await shown(page, 'late').toMatchObject({ status: 'failed', error: { code: 'UNAUTHORIZED' } });
    await publishBars(trpc, [2, 3]);
    await page.drive.setToken(await gateway.token('ada', 'admin'));
    await shown(page, 'view').toMatchObject({ status: 'live' });
    await publishBars(trpc, [4]);
    await shownBars(page, 'view').toEqual(numbers(4));
    expect(await page.shown('view')).not.toHaveProperty('error');
    expect(await heard(page, 'view')).toHaveLength(4);
    // What is wrong is not tried again.
    await shown(page, 'wrong').toMatchObject({ status: 'failed', error: { code: 'BAD_REQUEST' } });
    expect(await page.drive.bookkeeping()).toMatchObject({ subscribed: 3, open: 2 });
    expect(page.complaints).toEqual([]);
  });

  test('a right that is missing is seen, and with a token that grants it it goes on where it was', async () => {
    await using scene = await stage.signedIn(react, (gateway) => gateway.token('ada'));
    const { page, gateway, trpc } = scene;
    const grants = { subscribe: ['backtest.*'] };
    const granted = await gateway.token('ada', 'user', { ...grants, jti: 'first' });
    await page.drive.render([channelView('view', 'backtest.b1'), { name: 'connection', hook: 'useCourierConnection' }]);
    await shown(page, 'view').toMatchObject({ status: 'failed', error: { code: 'FORBIDDEN' } });
    await page.drive.setToken(granted);
    await shown(page, 'view').toMatchObject({ status: 'live' });
    await publishBars(trpc, [1]);
    await shownBars(page, 'view').toEqual([1]);
    await page.drive.setToken(await gateway.token('ada'));
    await shown(page, 'view').toMatchObject({ status: 'failed', error: { code: 'FORBIDDEN' } });
    await publishBars(trpc, [2, 3]);
    await page.drive.setToken(granted);
    await shownBars(page, 'view').toEqual(numbers(3));
    await shown(page, 'view').toMatchObject({ status: 'live' });
    // The same over another connection.
    await trpc.admin.revoke.mutate({ jti: 'first' });
    await shown(page, 'view').toMatchObject({ status: 'failed', error: { code: 'UNAUTHORIZED' } });
    await page.drive.setToken(await gateway.token('ada'));
    await shown(page, 'view').toMatchObject({ status: 'failed', error: { code: 'FORBIDDEN' } });
    await shown(page, 'connection').toMatchObject({ status: 'connected' });
    await publishBars(trpc, [4]);
    await page.drive.setToken(await gateway.token('ada', 'user', grants));
    await shownBars(page, 'view').toEqual(numbers(4));
    expect(await heard(page, 'view')).toHaveLength(4);
    expect(await page.drive.bookkeeping()).toMatchObject({ open: 1 });
    expect(page.complaints).toEqual([]);
  });

  test('oneself is kept in mind while the connection is lost', async () => {
    await using scene = await stage.signedIn(react, (gateway) => gateway.token('ada', 'user', { jti: 'first' }));
    const { page, gateway, trpc } = scene;
    await page.drive.render([{ name: 'own', hook: 'useUserEvents', args: [undefined] }]);
    await shown(page, 'own').toMatchObject({ status: 'live' });
    const started = { type: 'forge.job.started', channel: 'user.ada', data: { job_id: 'j1', kind: 'test' } } as const;
    await trpc.events.publish.mutate(started);
    await shown(page, 'own').toMatchObject({ events: [started] });
    const before = await page.drive.record('own');
    await trpc.admin.revoke.mutate({ jti: 'first' });
    await shown(page, 'own').toMatchObject({ status: 'failed', error: { code: 'UNAUTHORIZED' }, events: [started] });
    expect(await page.drive.record('own')).toMatchObject({ arrays: before?.arrays });
    await trpc.events.publish.mutate(started);
    await page.drive.setToken(await gateway.token('ada'));
    await shown(page, 'own').toMatchObject({ status: 'live', events: [started, started] });
    expect(await page.drive.bookkeeping()).toMatchObject({ subscribed: 1 });
    expect(page.complaints).toEqual([]);
  });

  test('missing events are seen', async () => {
    await using scene = await stage.signedIn(react);
    const { page, trpc } = scene;
    const [id = ''] = await publishBars(trpc, [1]);
    await page.drive.render([channelView('view', 'backtest.b1', { lastEventId: 'anotherepoch-7', from: 'earliest' })]);
    const gap = { reason: 'epoch', requested: 'anotherepoch-7' };
    await shown(page, 'view').toMatchObject({ status: 'live', gap, events: [{ id }] });
    expect((await page.drive.record('view'))?.gaps).toMatchObject([['', gap]]);
    await page.drive.clear('view');
    await shown(page, 'view').toEqual({ status: 'live', events: [] });
    await page.drive.render([channelView('view', 'backtest.b1', { lastEventId: id })]);
    await publishBars(trpc, [2]);
    await shownBars(page, 'view').toEqual([2]);
    expect(await page.shown('view')).not.toHaveProperty('gap');
    expect(page.complaints).toEqual([]);
  });
});

test.each([
  ['a client that never gives up', undefined, 'connecting'],
  ['one that gives up, and begins again', 200, 'failed'],
])('what is published while the gateway is away appears once it is back: %s', async (_of, giveUpAfter, status) => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}`, COURIER_ALLOWED_ORIGINS: stage.origin };
  const token = await processToken('root', 'admin');
  await using stack = new AsyncDisposableStack();
  const launch = async (port = '0'): Promise<GatewayProcess> => stack.use(await startProcess({ ...env, COURIER_PORT: port }));
  const publish = async ({ url }: GatewayProcess, bars: readonly number[]) => {
    await using client = webSocketClient(url, token);
    await publishBars(client.trpc, bars);
  };
  const first = await launch();
  const pages: OpenPage[] = [];
  for (const react of REACT_VERSIONS) {
    const page = stack.use(await stage.open(react));
    pages.push(page);
    await page.drive.start({ url: first.url, token, giveUpAfter });
    await page.drive.render([channelView('view', 'backtest.b1'), { name: 'backtest', hook: 'useBacktest', args: ['b1'] }]);
    await shown(page, 'view').toMatchObject({ status: 'live' });
    await shown<object>(page, 'backtest').toEqual({ isReady: true });
  }
  await publish(first, [1, 2]);
  for (const page of pages) await shownBars(page, 'view').toEqual([1, 2]);
  await first.end('SIGKILL');
  for (const page of pages) {
    await shown(page, 'view').toMatchObject({ status, error: { code: 'UNREACHABLE' } });
    // What was there is still shown.
    const error = status === 'failed' && { error: { code: 'UNREACHABLE' } };
    await shown<object>(page, 'backtest').toMatchObject({ isReady: true, state: { bars_processed: 2 }, ...error });
  }
  // Where the pages do not look for it.
  const elsewhere = await launch();
  await publish(elsewhere, [3, 4, 5]);
  await elsewhere.end('SIGKILL');
  const second = await launch(new URL(first.url).port);
  for (const page of pages) await shown(page, 'view').toMatchObject({ status: 'live' });
  await publish(second, [6]);
  for (const page of pages) {
    await shownBars(page, 'view').toEqual(numbers(6));
    expect(await heard(page, 'view')).toHaveLength(6);
    expect(await page.shown('view')).not.toHaveProperty('gap');
    await shown<object>(page, 'backtest').toMatchObject({ isReady: true, state: { bars_processed: 6 } });
    expect(await page.shown('backtest')).not.toHaveProperty('error');
    expect(page.complaints).toEqual([]);
  }
});
