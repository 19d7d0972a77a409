/** What workers share within a machine keeps the promises of what instances share over Redis, and of the log that one process has. */
import { describe, expect, test } from 'vitest';
import type { EventLog, StoredEvent } from '../../src/log/log.ts';
import { SqliteLog, type SqliteLogOptions } from '../../src/log/sqlite.ts';
import { describeBroker, hear } from '../contracts/broker.ts';
import { describeCounts } from '../contracts/counts.ts';
import { filled } from '../contracts/event-log/logs.ts';
import { describeEventLog } from '../contracts/event-log.ts';
import { describeLimiter } from '../contracts/limiter.ts';
import { describePeers } from '../contracts/peers.ts';
import { describeUsageStore } from '../contracts/usage.ts';
import { newEvent } from '../helpers/events.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { type LinkedWorker, startMachine } from '../helpers/linked.ts';

/** A machine of one worker, which goes with the log. */
async function linkedLog(path: string, options: Partial<SqliteLogOptions> = {}): Promise<EventLog> {
  const machine = await startMachine({ path, ...options });
  const worker = await machine.start();
  const log = worker.log(options);
  const close = async () => SqliteLog.prototype[Symbol.asyncDispose].call(log as SqliteLog);
  const closeAll = async () => {
    await close();
    await worker[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  };
  let closing: Promise<void> | undefined;
  log[Symbol.asyncDispose] = (): Promise<void> => (closing ??= closeAll());
  return log;
}

describeEventLog('SQLite log of a worker', {
  durable: true,
  runs: 20,
  factory: () => {
    const folder = temporaryFolder();
    return {
      open: (options) => linkedLog(folder.file('log.db'), options),
      [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
    };
  },
  failing: async () => {
    const folder = temporaryFolder();
    const failing = await filled(await linkedLog(folder.file('log.db'), { maxBytes: 1024 * 1024 }));
    return {
      ...failing,
      [Symbol.asyncDispose]: async () => {
        await failing[Symbol.asyncDispose]();
        folder[Symbol.dispose]();
      },
    };
  },
});

async function openAll<T>(open: (worker: LinkedWorker) => T): Promise<AsyncDisposable & { open(): Promise<T> }> {
  const stack = new AsyncDisposableStack();
  const machine = stack.use(await startMachine());
  return {
    open: async () => open(stack.use(await machine.start())),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describeBroker('broker of workers', {
  shared: true,
  kind: 'local',
  takesAll: true,
  factory: () => openAll(({ link }) => link.broker({ tells: true })),
});

describeLimiter('what workers share', {
  open: async () => {
    const all = await openAll(({ link }) => link.limiter());
    return { ...(await all.open()), [Symbol.asyncDispose]: () => all[Symbol.asyncDispose]() };
  },
});

describeCounts('what workers share', { shared: true, factory: () => openAll(({ link }) => link.counts('principal')) });
describePeers('workers of one machine', { instancesOf: () => 1, factory: () => openAll(({ link }) => link.peers()) });

describeUsageStore('uses that workers share', {
  isDurable: false,
  isShared: true,
  factory: () => openAll(({ link }) => link.usage()),
});

/** Two workers of a machine, with what they hear of the embedded log. */
async function pair() {
  await using stack = new AsyncDisposableStack();
  const machine = stack.use(await startMachine());
  const later = stack.use(new AsyncDisposableStack());
  const open = async () => {
    const worker = later.use(await machine.start());
    return { worker, log: worker.log(), heard: hear(worker.link.broker({ tells: false })) };
  };
  const [one, other] = [await open(), await open()];
  const resources = stack.move();
  return { machine, one, other, open, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

const seqsOf = (events: readonly { readonly seq: number }[]) => events.map(({ seq }) => seq);

describe('the embedded log of two workers', () => {
  test('has one order, of which each is told what the other has appended, before it is acknowledged', async () => {
    await using machine = await pair();
    const { one, other } = machine;
    const appends = Array.from({ length: 200 }, (_, index) => [one, other][index % 2]?.log.append([newEvent('global', { size: index })]));
    const seqs = (await Promise.all(appends)).flatMap((appended) => seqsOf((appended ?? []).map(({ event }) => event)));
    expect(seqs.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
    const own = (rest: number) => seqs.filter((_, index) => index % 2 === rest);
    await expect.poll(() => seqsOf(other.heard.events)).toEqual(own(0).toSorted((a, b) => a - b));
    await expect.poll(() => seqsOf(one.heard.events)).toEqual(own(1).toSorted((a, b) => a - b));
    const page = await one.log.read({ afterSeq: 0, channels: 'all', limit: 1000 }, new AbortController().signal);
    const told = [...one.heard.events, ...other.heard.events].toSorted((a, b) => a.seq - b.seq);
    const plain = ({ seq, channel, family, type, version, body }: StoredEvent) => ({ seq, channel, family, type, version, body });
    expect(told.map(plain)).toEqual(page.events);
  });

  test('stores a key once, whoever comes with it, and tells nobody of a repeat', async () => {
    await using machine = await pair();
    const { one, other } = machine;
    const keyed = (keys: string) => [...keys].map((key) => newEvent('global', { key }));
    const comers = [one.log.append(keyed('ab')), other.log.append(keyed('acb')), one.log.append(keyed('cd'))];
    const all = (await Promise.all(comers)).flatMap((appended) => appended.map(({ event: { seq }, duplicate }) => ({ seq, duplicate })));
    const stored = all.filter(({ duplicate }) => !duplicate);
    expect(seqsOf(stored).toSorted()).toEqual([1, 2, 3, 4]);
    for (const same of [
      [0, 2],
      [1, 4],
      [3, 5],
    ]) {
      const [mine, theirs] = same.map((index) => all[index]);
      expect(mine?.seq).toBe(theirs?.seq);
      expect(mine?.duplicate).not.toBe(theirs?.duplicate);
    }
    expect((await one.log.bounds()).head).toBe(4);
    const ofOther = seqsOf(all.slice(2, 5).filter(({ duplicate }) => !duplicate));
    const ofOne = [1, 2, 3, 4].filter((seq) => !ofOther.includes(seq));
    await expect.poll(() => [seqsOf(one.heard.events), seqsOf(other.heard.events)]).toEqual([ofOther, ofOne]);
  });

  test('keeps what one has appended that is gone before it hears of that', async () => {
    await using machine = await pair();
    const { one, other } = machine;
    one.log.append([newEvent('global')]).catch(() => undefined);
    // It has left for the supervisor with the question.
    await one.log.bounds();
    one.worker.crash();
    await expect.poll(() => seqsOf(other.heard.events)).toEqual([1]);
    expect(await other.log.append([newEvent('global')])).toMatchObject([{ event: { seq: 2 } }]);
  });

  test('is copied for one of them at a time, and for the next when that is gone', async () => {
    await using machine = await pair();
    const { one, other } = machine;
    await one.log.append([newEvent('global')]);
    const { signal } = new AbortController();
    const copy = await one.log.copy(signal);
    await expect(other.log.copy(signal)).rejects.toThrow(/another copy of it is being made or read/);
    one.worker.crash();
    await expect.poll(() => other.log.copy(signal).then((made) => made[Symbol.asyncDispose]().then(() => made.bytes))).toBe(copy.bytes);
    await copy[Symbol.asyncDispose]();
  });

  test('gives one that does not keep up a hint in the place of what it missed, and keeps nothing for it', async () => {
    await using machine = await pair();
    const { one, other } = machine;
    other.worker.pause();
    for (let written = 0; written < 60e6; written += 60 * 50_000)
      await one.log.append(Array.from({ length: 60 }, () => newEvent('global', { size: 50_000 })));
    other.worker.resume();
    const { head } = await other.log.bounds();
    expect(other.heard.events.length).toBeLessThan(head);
    await one.log.append([newEvent('global')]);
    await expect.poll(() => other.heard.hints).toBeGreaterThan(0);
    await expect.poll(() => other.heard.events.at(-1)?.seq).toBe(head + 1);
  });
});

test('what a worker holds is given back when it is gone', async () => {
  await using machine = await pair();
  const { one, other } = machine;
  const [mine, others] = [one.worker.link.counts('principal'), other.worker.link.counts('principal')];
  expect([await mine.claim('ada', 'a', 2), await others.claim('ada', 'b', 2), await others.claim('ada', 'c', 2)]).toEqual([
    undefined,
    undefined,
    2,
  ]);
  expect(await other.worker.link.counts('gateway').claim('ada', 'c', 1)).toBeUndefined();
  const gateway = other.worker.link.counts('gateway');
  expect([await gateway.claim('eve', 'c', 1), await gateway.claim('eve', 'd', 1), await gateway.count('eve')]).toEqual([undefined, 1, 1]);
  gateway.release('eve', 'c');
  expect([await gateway.count('eve'), await gateway.count('ada')]).toEqual([0, 1]);
  others.release('ada', 'a');
  expect(await others.claim('ada', 'c', 2)).toBe(2);
  one.worker.crash();
  await expect.poll(() => others.claim('ada', 'c', 2)).toBeUndefined();
  expect(await others.claim('ada', 'd', 2)).toBe(2);
});

test('a revocation of one is known to the others, and to those that come later', async () => {
  await using machine = await pair();
  const { one, other } = machine;
  const [mine, others] = [one.worker.link.revocations(), other.worker.link.revocations()];
  expect([await mine.load(0), await others.load(0)]).toEqual([[], []]);
  const [first, second] = [
    { sub: 'ada', at: 1000 },
    { jti: 't', at: 2000 },
  ];
  await Promise.all([mine.add(first, [first], 0), others.add(second, [second], 0)]);
  const known = async (store: typeof mine) => (await store.load(0)).toSorted((a, b) => a.at - b.at);
  expect([await known(mine), await known(others), await mine.load(0)]).toEqual([[first, second], [first, second], []]);
  const { worker } = await machine.open();
  expect(await known(worker.link.revocations())).toEqual([first, second]);
});
