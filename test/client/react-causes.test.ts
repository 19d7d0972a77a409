/** In a browser, which does not follow promises, the event of a hook's function is the cause of what it publishes until its first await. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { REACT_VERSIONS } from './browser/site.ts';
import { eventually, heard, publishBars, type Stage, setStage, shown } from './browser/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
});
afterAll(() => stage[Symbol.asyncDispose]());

test.each(REACT_VERSIONS)('React %s: what onEvent publishes at once has the event for its cause', async (react) => {
  await using scene = await stage.signedIn(react);
  const { page, trpc } = scene;
  await page.drive.render([{ name: 'all', hook: 'useChannel', args: ['backtest.b1'], label: 'publishes' }]);
  await shown(page, 'all').toMatchObject({ status: 'live' });
  const ids = await publishBars(trpc, [1, 2]);
  await eventually(() => heard(page, 'all')).toEqual(ids);
  const published = async () => (await trpc.events.history.query({ channels: ['forge.job.j'], types: ['forge.job.started'] })).events;
  await eventually(async () => (await published()).length).toBe(4);
  const found = (await published()).map(({ id, data, metadata: { correlation_id, causation_id } }) => {
    return [(data as { kind: string }).kind, correlation_id === id ? 'its own' : correlation_id, causation_id];
  });
  expect(found.sort()).toEqual([
    ['after an await', 'its own', undefined],
    ['after an await', 'its own', undefined],
    ...ids.map((id) => ['at once', id, id]).sort(),
  ]);
  expect(page.complaints).toEqual([]);
});
