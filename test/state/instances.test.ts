/** Several who use one log: one writes states at a time, all serve them. */
import { describe, expect, inject, test } from 'vitest';
import { childrenOf } from '../faults/processes.ts';
import { startProxy } from '../faults/proxy.ts';
import { newDatabase } from '../helpers/databases.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import type { TestGateway } from '../helpers/gateway.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { BANKS } from './bank.ts';
import { accountsOf, away, Books, kill, meddle, mixed, moved, opened, soon, startBank, stateOf, watch } from './books.ts';

/** Times at which a gateway has stored states. */
function writesOf(gateway: TestGateway): { count: number } {
  const writes = { count: 0 };
  meddle(gateway, (store) => ({
    write: (write) => {
      writes.count += 1;
      return store.write(write);
    },
  }));
  return writes;
}

const STATE = { storeMs: 20 };

describe.each([
  ['with Redis', () => ({ COURIER_BROKER: inject('redisUrl') })],
  ['without Redis', () => ({})],
])('instances on PostgreSQL %s', (_, brokerOf) => {
  test('one writes at a time, and another when it ends or is killed; watches of all have what the events make', async () => {
    const env = { COURIER_LOG: await newDatabase(), ...brokerOf() };
    const books = new Books();
    await using stack = new AsyncDisposableStack();
    const start = async () => {
      const bank = await startBank({ env, state: STATE });
      return { bank, writes: writesOf(bank), view: await watch(bank) };
    };
    const running = [await start(), await start(), await start()];
    stack.defer(async () => {
      for (const { bank, view } of running) {
        await view[Symbol.asyncDispose]();
        await bank[Symbol.asyncDispose]();
      }
    });
    for (let round = 0; running.length > 0; round += 1) {
      for (const [index, { bank }] of running.entries()) await books.publish(bank, mixed(60, { from: round * 1000 + index * 100 }));
      for (const { view, bank } of running) {
        await view.has(books.states());
        expect((await stateOf(bank)).items).toEqual(books.states());
      }
      // All that was published is stored by the first.
      const [writer] = running as [(typeof running)[number]];
      await soon(() => writer.writes.count > 0 && writer.bank.pipeline.states.figures.unstored, 0);
      for (const { writes } of running.slice(1)) expect(writes.count).toBe(0);
      for (const { view } of running) expect(view.resets).toEqual([]);
      running.shift();
      await writer.view[Symbol.asyncDispose]();
      if (round === 0) await kill(writer.bank);
      else await writer.bank[Symbol.asyncDispose]();
      if (running.length === 0) return;
      // One of the others takes over.
      await books.publish((running[0] as typeof writer).bank, [moved('a1', 1)]);
      await soon(() => running.some(({ writes }) => writes.count > 0), true);
      running.sort((a, b) => b.writes.count - a.writes.count);
    }
  });
});

test('one that does not write folds only while somebody watches there', async () => {
  const env = { COURIER_LOG: await newDatabase(), COURIER_BROKER: inject('redisUrl') };
  const books = new Books();
  await using writer = await startBank({ env, state: STATE });
  await using follower = await startBank({ env, state: { ...STATE, idleMs: 0 } });
  expect(follower.pipeline.states.figures.behind).toBeNull();
  await books.publish(writer, mixed(100));
  {
    await using view = await watch(follower);
    await view.has(books.states());
    expect(follower.pipeline.states.figures.behind).not.toBeNull();
    await books.publish(follower, mixed(50, { from: 100 }));
    await view.has(books.states());
  }
  await soon(() => follower.pipeline.states.figures.behind, null);
  expect(follower.pipeline.states.figures).toMatchObject({ inMemory: 0, watches: 0 });
  expect(writer.pipeline.states.figures.behind).not.toBeNull();
  await books.publish(writer, mixed(50, { from: 150 }));
  await soon(async () => (await stateOf(follower)).items, books.states());
});

test('two versions beside each other serve their own; who moves from one to the other begins anew', async () => {
  const env = { COURIER_LOG: await newDatabase(), COURIER_BROKER: inject('redisUrl') };
  const books = new Books();
  const older = await startBank({ env, state: STATE });
  await books.publish(older, mixed(200));
  await using later = await startBank({ env, contract: BANKS.second, state: STATE });
  for (let round = 1; round <= 3; round += 1) {
    await books.publish(older, mixed(50, { from: round * 200 }));
    await books.publish(later, mixed(50, { from: round * 200 + 100 }));
    // What was published on the other comes a moment later.
    await soon(async () => (await stateOf(older)).items, books.states());
    await soon(async () => (await stateOf(later)).items, books.states(BANKS.second));
    const [had, hadLater] = [await stateOf(older), await stateOf(later)];
    // So much is known when the older one says again that it is there.
    const { head } = await later.pipeline.log.bounds();
    await soon(async () => {
      const { builds } = await later.pipeline.log.states.look(['account']);
      return builds.map(({ builtSeq }) => builtSeq >= head);
    }, [true, true]);
    await soon(async () => (await stateOf(later, { after: had.position })).resets, ['rebuilt']);
    await soon(async () => (await stateOf(older, { after: hadLater.position })).resets, ['rebuilt']);
    await using moving = await watch(later, { after: had.position, items: had.items });
    await using back = await watch(older, { after: hadLater.position, items: hadLater.items });
    await moving.has(books.states(BANKS.second));
    await back.has(books.states());
    expect([moving.resets, back.resets]).toEqual([['rebuilt'], ['rebuilt']]);
    // Owners are the same in both.
    await using owners = await watch(later, {
      after: had.position,
      items: had.items.filter(({ entity }) => entity === 'owner'),
      query: 'owner',
    });
    await owners.has(books.states().filter(({ entity }) => entity === 'owner'));
    expect(owners.resets).toEqual([]);
  }
  const had = await stateOf(older);
  await older[Symbol.asyncDispose]();
  await using moved = await watch(later, { after: had.position, items: had.items });
  await moved.has(books.states(BANKS.second));
  expect(moved.resets).toEqual(['rebuilt']);
});

test('states follow again once PostgreSQL is back, and publishing waits for no states', async () => {
  const url = new URL(await newDatabase());
  await using proxy = await startProxy(Number(url.port));
  url.port = String(proxy.port);
  const books = new Books();
  await using bank = await startBank({ env: { COURIER_LOG: url.href }, state: STATE });
  await books.publish(bank, mixed(100));
  await using view = await watch(bank);
  await view.has(books.states());
  for (let time = 1; time <= 2; time += 1) {
    proxy.aim(1);
    proxy.heal();
    await soon(() => bank.pipeline.states.figures.problem !== undefined, true);
    proxy.aim(Number(new URL(inject('postgresUrl')).port));
    await soon(async () => {
      try {
        await books.publish(bank, [opened(`b${time}`)]);
        return true;
      } catch {
        return false;
      }
    }, true);
    await books.publish(bank, mixed(50, { from: time * 100 }));
    await view.has(books.states());
    await soon(() => bank.pipeline.states.figures.problem, undefined);
    await soon(() => bank.pipeline.states.figures.unstored, 0);
    expect((await stateOf(bank)).items).toEqual(books.states());
    expect(view.resets).toEqual([]);
  }
});

test('a store that fails stops neither publishing nor watching, and what was missed is stored once it works', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('log.db')}` };
  const books = new Books();
  const bank = await startBank({ env, state: STATE });
  await books.publish(bank, mixed(100));
  await using view = await watch(bank);
  await view.has(books.states());
  const heal = meddle(bank, () => ({ write: away, claim: away, look: away }));
  await books.publish(bank, mixed(300, { from: 100 }));
  await view.has(books.states());
  expect((await stateOf(bank)).items).toEqual(books.states());
  await soon(() => bank.pipeline.states.figures.problem, 'it is away');
  expect(await (await fetch(`${bank.url}/health`)).json()).toMatchObject({ components: { state: { status: 'degraded' } } });
  heal();
  await soon(() => bank.pipeline.states.figures.unstored, 0);
  await view[Symbol.asyncDispose]();
  await kill(bank);
  await using next = await startBank({ env });
  expect((await stateOf(next)).items).toEqual(books.states());
});

test('several workers serve the same states, also when one that writes them is killed', async () => {
  using folder = temporaryFolder();
  const path = folder.file('log.db');
  await using process = await startProcess({
    COURIER_LOG: `sqlite:${path}`,
    COURIER_WORKERS: '2',
    COURIER_CONTRACT: new URL('bank.ts', import.meta.url).pathname,
  });
  const gateway = { url: process.url, token: (sub: string, role = 'user') => processToken(sub, role as 'admin') };
  const publish = async (drafts: ReturnType<typeof mixed>) => {
    for (const { type, data, channel = `account.${data['account_id']}` } of drafts) {
      const answer = await fetch(`${process.url}/publish`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${await processToken('teller', 'service')}`,
          'content-type': 'application/json',
          connection: 'close',
        },
        body: JSON.stringify({ channel, type, data }),
      });
      expect(answer.status).toBe(201);
    }
  };
  await publish(mixed(40));
  await using stack = new AsyncDisposableStack();
  const open = async () => {
    const views = [];
    for (let n = 0; n < 8; n += 1) views.push(stack.use(await watch(gateway)));
    return views;
  };
  const same = (views: Awaited<ReturnType<typeof open>>, last: string) =>
    soon(
      () =>
        new Set(
          views.map(({ items }) => JSON.stringify(items.some(({ key, entity }) => entity === 'account' && key === last) ? items : [])),
        ).size,
      1,
    );
  const views = await open();
  await publish([opened('z1')]);
  for (const view of views) await soon(() => view.items.some(({ key }) => key === 'z1'), true);
  await same(views, 'z1');
  const [first] = childrenOf(process.child.pid as number);
  globalThis.process.kill(first as number, 'SIGKILL');
  await soon(async () => ((await (await fetch(`${process.url}/health`)).json()) as { status: string }).status !== 'unhealthy', true);
  await publish([...mixed(40, { from: 40 }), opened('z2')]);
  const later = await open();
  for (const view of later) await soon(() => view.items.some(({ key }) => key === 'z2'), true);
  await same(later, 'z2');
  const told = later[0]?.items;
  await process.end('SIGTERM');
  const books = new Books();
  await using bank = await startBank({ env: { COURIER_LOG: `sqlite:${path}` } });
  await books.recall(bank.pipeline.log);
  expect(books.events).toHaveLength(82);
  expect(told).toEqual(books.states());
  expect(accountsOf((await stateOf(bank)).items)).toEqual(accountsOf(books.states()));
});
