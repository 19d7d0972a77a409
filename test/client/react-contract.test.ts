/** The hooks of another contract in a real browser, with each React that they are for. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contract } from '../harbour/contract.ts';
import type { TradeClient } from '../helpers/roles.ts';
import { REACT_VERSIONS } from './browser/site.ts';
import { heard, type Stage, setStage, shown } from './browser/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
});
afterAll(() => stage[Symbol.asyncDispose]());

test.each(REACT_VERSIONS)('React %s shows what the channels of any contract carry', async (react) => {
  await using scene = await stage.signedIn(react, undefined, contract);
  const { page } = scene;
  const { events } = scene.trpc as unknown as TradeClient;
  await page.drive.render([
    { name: 'vessel', hook: 'useVesselEvents', args: ['9074729'] },
    { name: 'block', hook: 'useBlockEvents', args: ['A7'], options: { types: ['container.stowed'] } },
    { name: 'pattern', hook: 'useHarbourChannel', args: ['yard.**'], options: { history: 1 } },
    { name: 'latest', hook: 'useHarbourLatest', args: ['**', 'berth.freed'] },
    { name: 'paused', hook: 'useBlockEvents', args: [null] },
    { name: 'refused', hook: 'useBlockEvents', args: ['A7.*'] },
  ]);
  for (const view of ['vessel', 'block', 'pattern']) await shown(page, view).toMatchObject({ status: 'live', events: [] });
  const freed = { type: 'berth.freed', channel: 'vessel.9074729', data: { berth_no: 'Q12', imo: '9074729' } };
  const stowed = { type: 'container.stowed', channel: 'yard.block.A7', data: { block: 'A7', remark: 'r', slot: { row: 1, tier: 2 } } };
  const filled = { type: 'yard.block.filled', channel: 'yard.block.A7', data: { block: 'A7', filled: 0.5, lanes: [{ lane: 1, free: 3 }] } };
  const receipts = await events.publishBatch.mutate([freed, stowed, filled]);
  await shown(page, 'vessel').toMatchObject({ events: [freed] });
  await shown(page, 'block').toMatchObject({ events: [stowed] });
  await shown(page, 'pattern').toMatchObject({ events: [filled] });
  await shown(page, 'latest').toMatchObject(freed);
  await shown(page, 'paused').toMatchObject({ status: 'paused', events: [] });
  await shown(page, 'refused').toMatchObject({ status: 'failed', events: [] });
  expect(await heard(page, 'pattern')).toEqual(receipts.slice(1).map(({ id }) => id));
  expect(page.complaints).toEqual([]);
});
