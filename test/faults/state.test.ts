/** The state while the gateway is killed under load: it is what the events make, and watches that lived through everything have the same. */
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { checkState, differences } from '../../scripts/check-state/check.js';
import { processToken } from '../helpers/process.ts';
import { type Instances, startEmbedded } from './instances.ts';
import { LONG, report } from './ledger.ts';
import { connect } from './load.ts';
import { childrenOf } from './processes.ts';
import { type StateWatch, startTrading, type Thing, type Trading, watchStates } from './trade-load.ts';

const MINUTES = 60_000;
/** How long a watch may take to have everything, once nothing is published any more. */
const SETTLED_MS = 20_000;

interface Stage extends AsyncDisposable {
  readonly trading: Trading;
  finish(): Promise<Readonly<Record<string, number>>>;
}

/** Of everything, of what is open, and of one entity as fast as somebody can look. */
const WATCHES: readonly { readonly of: Parameters<typeof watchStates>[2]; readonly selects: (name: string, thing: Thing) => boolean }[] = [
  { of: {}, selects: () => true },
  { of: { open: true }, selects: (_name, { open }) => open },
  { of: { entities: ['order'], open: true, max_per_second: 5 }, selects: (name, { open }) => open && JSON.parse(name)[1] === 'order' },
];

async function startStage({ urls }: Pick<Instances, 'urls'>, seed: number): Promise<Stage> {
  const token = await processToken('root', 'admin');
  await using stack = new AsyncDisposableStack();
  const url = urls[0] as string;
  const trading = stack.use(startTrading({ url, token, seed }));
  const watches = WATCHES.map((watch) => ({ ...watch, watching: stack.use(watchStates(url, token, watch.of)) }));
  const resources = stack.move();
  return {
    trading,
    finish: async () => {
      await trading.stop();
      const checked = await checkState(url, token);
      expect(checked.differences.slice(0, 5)).toEqual([]);
      for (const { watching, selects } of watches)
        await settled(watching, new Map([...checked.things].filter(([name, thing]) => selects(name, thing))));
      const all = watches.map(({ watching }) => watching);
      return {
        acknowledged: trading.acknowledged,
        stored: checked.events,
        received: all.reduce((sum, { given }) => sum + given, 0),
        things: checked.compared,
        differences: checked.differences.length,
        resets: all.reduce((sum, { resets }) => sum + resets.length, 0),
        backwards: all.reduce((sum, { backwards }) => sum + backwards, 0),
      };
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Fails with what is different, where the watch does not come to have what is served. */
async function settled(watching: StateWatch, served: ReadonlyMap<string, Thing>): Promise<void> {
  const ended = await Promise.race([
    watching.until((things) => differences(served, things).length === 0),
    wait(SETTLED_MS, 'late', { ref: false }),
  ]);
  if (ended === 'late') expect(differences(served, watching.things).slice(0, 5)).toEqual([]);
}

const EXACT = { differences: 0, backwards: 0 };

test('kill -9 of a gateway whose state changes', { timeout: 10 * MINUTES }, async ({ task }) => {
  const kills = LONG ? 20 : 5;
  await using instances = await startEmbedded();
  await using stage = await startStage(instances, 1);
  for (let kill = 0; kill < kills; kill += 1) {
    // Before anything of it is stored, while it is, and after.
    await stage.trading.more(50 + 400 * (kill % 5));
    await instances.restart(0, 'SIGKILL');
  }
  await stage.trading.more(200);
  const figures = await stage.finish();
  report(task, 39, `state: kill -9 under load, ${kills} times`, figures);
  expect(figures).toMatchObject(EXACT);
});

test('kill -9 of a gateway that makes its states anew', { timeout: 10 * MINUTES }, async ({ task }) => {
  const kills = LONG ? 20 : 3;
  await using instances = await startEmbedded();
  await using stage = await startStage(instances, 2);
  await using admin = connect(instances.urls[0] as string, await processToken('root', 'admin'));
  const entities = ['order', 'strategy', 'position', 'backtest', 'job'];
  for (let kill = 0; kill < kills; kill += 1) {
    await stage.trading.more(500);
    for (const entity of [entities[kill % 5], entities[(kill + 1) % 5]])
      await admin.trpc.admin.rebuildState.mutate({ entity: entity as string });
    if (kill % 2 === 0) await stage.trading.more(100);
    await instances.restart(0, 'SIGKILL');
  }
  await stage.trading.more(200);
  const figures = await stage.finish();
  report(task, 40, `state: made anew and kill -9 under load, ${kills} times`, figures);
  expect(figures).toMatchObject(EXACT);
});

test('kill -9 of a worker, and of both with their supervisor, whose state changes', { timeout: 10 * MINUTES }, async ({ task }) => {
  const kills = LONG ? 20 : 5;
  await using instances = await startEmbedded({ COURIER_WORKERS: '2', COURIER_DRAIN_SECONDS: '5' });
  await using stage = await startStage(instances, 3);
  for (let kill = 0; kill < kills; kill += 1) {
    await stage.trading.more(100 + 300 * (kill % 3));
    if (kill % 3 === 2) await instances.restart(0, 'SIGKILL');
    else process.kill(childrenOf(instances.process(0).child.pid as number)[kill % 2] as number, 'SIGKILL');
  }
  await stage.trading.more(500);
  const figures = await stage.finish();
  report(task, 41, `state: two workers, kill -9 of one or of all under load, ${kills} times`, figures);
  expect(figures).toMatchObject(EXACT);
});
