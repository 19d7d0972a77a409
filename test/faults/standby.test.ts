/** Two gateways on a PostgreSQL server that has a standby, which takes over: what was acknowledged is there, or its loss is told. */
import { expect, test } from 'vitest';
import { processToken } from '../helpers/process.ts';
import { startInstances } from './instances.ts';
import { EXACT, Ledger, LONG, report, seqOf } from './ledger.ts';
import { startLoad, storedEvents, watch } from './load.ts';
import { restartEnded, startPair } from './pair.ts';

const MINUTES = 60_000;

test('a synchronous standby takes over from PostgreSQL under load', { timeout: 5 * MINUTES }, async ({ task }) => {
  await using pair = await startPair();
  await pair.waitForStandby();
  await using instances = await startInstances([pair.env, pair.env]);
  const token = await processToken('forge', 'service');
  const ledger = new Ledger();
  await using first = watch(instances.urls[0] as string, token);
  await using second = watch(instances.urls[1] as string, token);
  await using one = startLoad({ url: instances.urls[0] as string, token, ledger, inFlight: 8 });
  await using two = startLoad({ url: instances.urls[1] as string, token, ledger, inFlight: 8 });
  await Promise.all([one, two].map((load) => load.more(LONG ? 3000 : 300)));
  const ended = restartEnded(instances);
  await pair.primary.kill();
  const began = performance.now();
  await pair.standby.promote();
  const codes = await ended;
  await Promise.all([one, two].map((load) => load.more(200)));
  const took = Math.round(performance.now() - began);
  await Promise.all([one, two].map((load) => load.stop()));
  const stored = await storedEvents(instances.urls[0] as string, token);
  for (const watching of [first, second]) await watching.reaches(stored.at(-1)?.id ?? '');
  const figures = [first, second].map(({ items }) => ledger.compare(stored, items));
  report(task, 28, 'two instances: a synchronous standby takes over from PostgreSQL', { ...figures[0], 'ms until published again': took });
  expect(codes).toEqual([1, 1]);
  expect(stored.map(seqOf)).toEqual(Array.from({ length: stored.length }, (_, index) => index + 1));
  for (const one of figures) expect(one).toMatchObject(EXACT);
  for (const { notices } of [first, second]) expect(notices).not.toContain('courier.gap');
});

test('an asynchronous standby takes over from PostgreSQL that had acknowledged more', { timeout: 5 * MINUTES }, async ({ task }) => {
  const [shared, lost, later] = LONG ? [5000, 2000, 5000] : [500, 100, 500];
  await using pair = await startPair();
  await using instances = await startInstances([pair.env, pair.env]);
  const url = instances.urls[0] as string;
  const token = await processToken('forge', 'service');
  const ledger = new Ledger();
  await using watching = watch(url, token, { from: 'now' });
  await expect.poll(() => watching.notices).toContain('courier.live');
  const publish = async (count: number) => {
    await using load = startLoad({ url, token, ledger, inFlight: 8 });
    await load.more(count);
    await load.stop();
    return (await storedEvents(url, token)).at(-1)?.id ?? '';
  };
  const lastShared = await publish(shared);
  await pair.standby.caughtUp();
  pair.proxy.cut();
  const lastLost = await publish(lost);
  await watching.reaches(lastLost);
  const ended = restartEnded(instances);
  await pair.primary.kill();
  await pair.standby.promote();
  const codes = await ended;
  // The subscriber is back at once; one that comes later has missed what was published until then.
  const last = await publish(later);
  await watching.reaches(last);
  await using late = watch(url, token, { from: 'now', lastEventId: lastLost });
  await late.reaches(last);
  const stored = await storedEvents(url, token);
  const after = stored.filter((event) => seqOf(event) > seqOf({ id: lastShared })).map(({ id }) => id);
  const figures = { acknowledged: ledger.size, stored: stored.length, received: watching.items.length };
  report(task, 28, 'two instances: an asynchronous standby takes over, which had not all of it', {
    ...figures,
    'lost, and told': seqOf({ id: lastLost }) - seqOf({ id: lastShared }),
    'told to go on after the last that both have': watching.gaps.length,
  });
  expect(codes).toEqual([1, 1]);
  const gap = { reason: 'epoch', requested: lastLost, resumed_from: lastShared };
  expect(watching.gaps).toEqual([gap]);
  expect(late.gaps).toEqual([gap]);
  expect(late.items.map(({ id }) => id)).toEqual(after);
  expect(watching.items.map(({ id }) => id).slice(-after.length)).toEqual(after);
  expect(stored.map(seqOf)).toEqual(Array.from({ length: stored.length }, (_, index) => index + 1));
});
