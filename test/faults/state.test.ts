/** The state while the gateway is killed under load: it is what the events make, and watches that lived through everything have the same. */
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { checkState, differences } from '../../scripts/check-state/check.js';
import { sharedEnv } from '../helpers/cluster.ts';
import { processToken } from '../helpers/process.ts';
import { type Instances, startEmbedded, startInstances } from './instances.ts';
import { LONG, report } from './ledger.ts';
import { connect } from './load.ts';
import { restartEnded, startPair } from './pair.ts';
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
  const trading = stack.use(startTrading({ url: urls[0] as string, token, seed }));
  const watches = urls.flatMap((url) => WATCHES.map((watch) => ({ ...watch, watching: stack.use(watchStates(url, token, watch.of)) })));
  const resources = stack.move();
  return {
    trading,
    finish: async () => {
      await trading.stop();
      const all = [];
      for (const url of urls) all.push(await checkState(url, token));
      const [checked] = all as [(typeof all)[number]];
      for (const { differences } of all) expect(differences.slice(0, 5)).toEqual([]);
      for (const { watching, selects } of watches)
        await settled(watching, new Map([...checked.things].filter(([name, thing]) => selects(name, thing))));
      const told = watches.map(({ watching }) => watching);
      return {
        acknowledged: trading.acknowledged,
        stored: checked.events,
        received: told.reduce((sum, { given }) => sum + given, 0),
        things: checked.compared,
        differences: all.reduce((sum, { differences }) => sum + differences.length, 0),
        resets: told.reduce((sum, { resets }) => sum + resets.length, 0),
        backwards: told.reduce((sum, { backwards }) => sum + backwards, 0),
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

/** Both, once one that was killed has a successor. */
async function workersOf(instances: Instances): Promise<number[]> {
  const workers = () => childrenOf(instances.process(0).child.pid as number);
  await expect.poll(() => workers().length, { timeout: SETTLED_MS }).toBe(2);
  return workers();
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
    else process.kill((await workersOf(instances))[kill % 2] as number, 'SIGKILL');
  }
  await stage.trading.more(500);
  const figures = await stage.finish();
  report(task, 41, `state: two workers, kill -9 of one or of all under load, ${kills} times`, figures);
  expect(figures).toMatchObject(EXACT);
});

test('kill -9 of one of two instances, each of which has watches', { timeout: 10 * MINUTES }, async ({ task }) => {
  const kills = LONG ? 20 : 4;
  const env = await sharedEnv();
  await using instances = await startInstances([env, env]);
  await using stage = await startStage(instances, 4);
  for (let kill = 0; kill < kills; kill += 1) {
    await stage.trading.more(100 + 300 * (kill % 3));
    await instances.restart(kill % 2, 'SIGKILL');
  }
  await stage.trading.more(500);
  const figures = await stage.finish();
  report(task, 42, `state: two instances, kill -9 of one under load, ${kills} times`, figures);
  expect(figures).toMatchObject(EXACT);
});

test('a standby takes over from PostgreSQL, which has the state', { timeout: 10 * MINUTES }, async ({ task }) => {
  await using pair = await startPair();
  await pair.waitForStandby();
  await using instances = await startInstances([pair.env, pair.env]);
  await using stage = await startStage(instances, 5);
  await stage.trading.more(LONG ? 5000 : 1000);
  const ended = restartEnded(instances);
  await pair.primary.kill();
  await pair.standby.promote();
  const codes = await ended;
  await stage.trading.more(500);
  const figures = await stage.finish();
  report(task, 43, 'state: two instances, a synchronous standby takes over from PostgreSQL', figures);
  expect(codes).toEqual([1, 1]);
  expect(figures).toMatchObject(EXACT);
});
