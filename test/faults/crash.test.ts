/** The gateway is killed, stopped or ended under load: what was acknowledged is stored, and received once, in order. */
import { expect, test } from 'vitest';
import { EXACT, Ledger, LONG, report, seqOf } from './ledger.ts';
import { startLoad, storedEvents, watch } from './load.ts';
import { startFirst } from './successors.ts';

const MINUTES = 60_000;

test('kill -9 under load, again and again', { timeout: 5 * MINUTES }, async ({ task }) => {
  const kills = LONG ? 20 : 3;
  await using gateways = await startFirst();
  const ledger = new Ledger();
  await using subscriber = watch(gateways.url, gateways.token);
  await using load = startLoad({ ...gateways, ledger, inFlight: 32 });
  for (let kill = 0; kill < kills; kill += 1) {
    await load.more(200 + kill * 37);
    await gateways.restart('SIGKILL');
  }
  await load.more(200);
  await load.stop();
  const stored = await storedEvents(gateways.url, gateways.token);
  await subscriber.reaches(stored.at(-1)?.id ?? '');
  const figures = ledger.compare(stored, subscriber.items);
  report(task, 1, `kill -9 under load, ${kills} times`, { ...figures, 'peak memory': gateways.peakMemory });
  expect(figures).toMatchObject(EXACT);
  expect(stored.map(seqOf)).toEqual(Array.from({ length: stored.length }, (_, index) => index + 1));
  expect(subscriber.notices).not.toContain('courier.gap');
});

test('SIGTERM under load', { timeout: 5 * MINUTES }, async ({ task }) => {
  const rounds = LONG ? 10 : 2;
  await using gateways = await startFirst();
  const ledger = new Ledger();
  await using subscriber = watch(gateways.url, gateways.token);
  await using load = startLoad({ ...gateways, ledger, inFlight: 32 });
  for (let round = 0; round < rounds; round += 1) {
    await load.more(300);
    expect(await gateways.restart('SIGTERM')).toBe(0);
  }
  await load.more(300);
  await load.stop();
  const stored = await storedEvents(gateways.url, gateways.token);
  await subscriber.reaches(stored.at(-1)?.id ?? '');
  const figures = ledger.compare(stored, subscriber.items);
  report(task, 3, `SIGTERM under load, ${rounds} times, exit code 0`, { ...figures, 'peak memory': gateways.peakMemory });
  // Here nothing may be unknown either: what was stored was acknowledged.
  expect(figures).toMatchObject({ ...EXACT, unknown: 0 });
});

test('SIGSTOP under load', { timeout: 2 * MINUTES }, async ({ task }) => {
  const seconds = LONG ? 30 : 1;
  await using gateways = await startFirst();
  const ledger = new Ledger();
  await using subscriber = watch(gateways.url, gateways.token);
  await using load = startLoad({ ...gateways, ledger, inFlight: 32 });
  await load.more(300);
  gateways.process.child.kill('SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  gateways.process.child.kill('SIGCONT');
  await load.more(300);
  await load.stop();
  const stored = await storedEvents(gateways.url, gateways.token);
  await subscriber.reaches(stored.at(-1)?.id ?? '');
  const figures = ledger.compare(stored, subscriber.items);
  report(task, 11, `SIGSTOP for ${seconds} s under load`, { ...figures, 'peak memory': gateways.peakMemory });
  expect(figures).toMatchObject(EXACT);
});
