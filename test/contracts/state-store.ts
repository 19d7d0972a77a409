/** What every store of states guarantees, as tests. Each implementation runs them all through a factory of its own. */
import { describe, expect, test } from 'vitest';
import { REMOVAL_SETTLES_MS } from '../../src/log/state-store.ts';
import { newEvent, newEvents } from '../helpers/events.ts';
import { channelSetOf, EVERYTHING } from '../helpers/trade.ts';
import { DAY_MS, range } from './event-log/logs.ts';
import { describeStateRows } from './state-store/reading.ts';
import { begun, findRows, forgetAll, readAllStates, type StateSuite, stateRow, store, trimAll } from './state-store/states.ts';

const E1 = { entity: 'e', version: 1 };
const MINUTE_MS = 60_000;

export function describeStateStore(name: string, suite: StateSuite): void {
  const { durable, factory } = suite;
  describe(`states of the ${name}`, () => {
    describeStateRows(suite);

    describe('builds', () => {
      test('each entity has one for its version, however often and by how many it is registered', async () => {
        await using logs = factory();
        await using log = await logs.open();
        await log.append(newEvents(3, 'global'));
        const many = await Promise.all(range(1, 5).map(() => log.states.register([E1, { entity: 'f', version: 4 }])));
        const [first] = many as [(typeof many)[number]];
        for (const builds of many) expect(builds).toEqual(first);
        const empty = { startSeq: 0, seq: 0, writtenSeq: 0, isComplete: false, builtSeq: 0, forgottenSeq: 0 };
        expect(first).toEqual([
          { number: expect.any(Number), entity: 'e', version: 1, ...empty },
          { number: expect.any(Number), entity: 'f', version: 4, ...empty },
        ]);
        const [one] = first as [(typeof first)[number]];
        const both = await log.states.register([{ entity: 'e', version: 2 }]);
        expect(both).toEqual([one, { ...one, version: 2, number: expect.any(Number) }]);
        expect(new Set([...first, ...both].map(({ number }) => number)).size).toBe(3);
        expect(await log.states.look(['e'])).toEqual({ builds: both, removals: 0 });
        expect(await log.states.look(['nobody'])).toEqual({ builds: [], removals: 0 });
        expect(await log.states.register([])).toEqual([]);
      });

      test('one begins with the first event that is retained', async () => {
        await using logs = factory();
        let now = DAY_MS;
        await using log = await logs.open({ now: () => now });
        await log.append(newEvents(3, 'global'));
        now = 5 * DAY_MS;
        await log.append(newEvents(2, 'global'));
        await trimAll(log, DAY_MS);
        expect(await log.states.register([E1])).toMatchObject([{ seq: 3, writtenSeq: 3 }]);
      });

      test('one is complete from where the log ended first, and another is begun then only', async () => {
        await using logs = factory();
        await using log = await logs.open();
        const [build] = await begun(log.states, 'e');
        await log.states.rebuild(E1);
        expect((await log.states.look(['e'])).builds).toHaveLength(1);
        await log.append(newEvents(3, 'global'));
        await log.states.complete([build]);
        await log.append(newEvents(2, 'global'));
        await log.states.complete([build]);
        expect((await log.states.look(['e'])).builds).toMatchObject([{ number: build, isComplete: true, builtSeq: 0 }]);
        await log.states.rebuild(E1);
        await log.states.rebuild(E1);
        const { builds } = await log.states.look(['e']);
        expect(builds).toMatchObject([{ isComplete: true }, { ...E1, seq: 0, isComplete: false }]);
        expect(await log.states.register([E1])).toEqual(builds);
      });

      test('what was known of one that another has replaced counts as its own until nobody holds it', async () => {
        await using logs = factory();
        await using log = await logs.open();
        const [old] = await begun(log.states, 'e');
        await log.append(newEvents(1, 'global'));
        await log.states.complete([old]);
        await log.states.claim({ holder: 'a', builds: [old], forMs: MINUTE_MS });
        await log.states.rebuild(E1);
        const later = (await log.states.look(['e'])).builds[1]?.number as number;
        const builtSeq = async () => (await log.states.look(['e'])).builds[1]?.builtSeq;
        await log.append(newEvents(1, 'global'));
        await log.states.complete([later]);
        expect(await builtSeq()).toBe(2);
        await log.append(newEvents(1, 'global'));
        await log.states.claim({ holder: 'b', builds: [later], forMs: MINUTE_MS });
        expect(await builtSeq()).toBe(3);
        await log.append(newEvents(1, 'global'));
        await log.states.release('a');
        expect(await builtSeq()).toBe(4);
        await log.append(newEvents(1, 'global'));
        await log.states.claim({ holder: 'b', builds: [later], forMs: MINUTE_MS });
        expect(await builtSeq()).toBe(4);
      });

      test('what was known of a later one counts as its own where an earlier one is used again', async () => {
        await using logs = factory();
        await using log = await logs.open();
        const [first] = await begun(log.states, 'e');
        await log.states.complete([first]);
        const second = (await log.states.register([{ entity: 'e', version: 2 }]))[1]?.number as number;
        await log.append(newEvents(2, 'global'));
        await log.states.complete([second]);
        const builtSeqs = async () => (await log.states.look(['e'])).builds.map(({ builtSeq }) => builtSeq);
        expect(await builtSeqs()).toEqual([0, 2]);
        await log.states.claim({ holder: 'a', builds: [second], forMs: MINUTE_MS });
        expect(await builtSeqs()).toEqual([2, 2]);
        await log.append(newEvents(1, 'global'));
        await store(log.states, [stateRow(second, { seq: 3 })]);
        // It ends without a word.
        expect(await log.states.register([E1])).toMatchObject([{ builtSeq: 3 }, { builtSeq: 2 }]);
        await store(log.states, [stateRow(first, { seq: 3 })]);
        await log.append(newEvents(1, 'global'));
        await store(log.states, [stateRow(first, { seq: 4 })]);
        await log.states.register([E1]);
        expect(await builtSeqs()).toEqual([3, 2]);
      });

      test('what was stored beyond the checkpoint is read where that is asked for', async () => {
        await using logs = factory();
        await using log = await logs.open();
        const [build] = await begun(log.states, 'e');
        await store(log.states, [stateRow(build, { seq: 1, key: 'k1' })]);
        await log.states.write({ rows: [stateRow(build, { seq: 5, key: 'k1' })], builds: [build], writtenSeq: 5, nowMs: 0 });
        const query = { builds: [build], channels: EVERYTHING, afterSeq: 0, conditions: ['open', 'closed', 'gone'], limit: 10 } as const;
        expect(await log.states.read(query)).toMatchObject({ rows: [], endSeq: 1, leadsOn: false, writtenSeq: 5 });
        const ahead = await log.states.read({ ...query, isAhead: true });
        expect(ahead).toMatchObject({ rows: [{ key: 'k1', seq: 5 }], endSeq: 5, leadsOn: false });
      });

      test('things are counted by whether they go on', async () => {
        await using logs = factory();
        await using log = await logs.open();
        const [one, other] = await begun(log.states, 'e', 'f');
        const conditions = ['open', 'open', 'closed', 'gone'] as const;
        await store(
          log.states,
          conditions.map((condition, index) => stateRow(one, { seq: index + 1, key: `k${index}`, condition })),
        );
        expect(await log.states.count([one, other])).toEqual([
          { build: one, open: 2, closed: 1 },
          { build: other, open: 0, closed: 0 },
        ]);
      });

      test('one that another has replaced goes with its rows, once nobody uses it', async () => {
        await using logs = factory();
        await using log = await logs.open();
        const [old, other] = await begun(log.states, 'e', 'f');
        await store(log.states, [...range(1, 5).map((seq) => stateRow(old, { seq, key: `k${seq}` })), stateRow(other, { seq: 1 })]);
        await log.states.complete([old, other]);
        await log.states.rebuild(E1);
        const begunAgain = (await log.states.look(['e'])).builds[1]?.number as number;
        const claim = (...builds: number[]) => log.states.claim({ holder: 'a', builds, forMs: MINUTE_MS });
        await claim(old, other, begunAgain);
        const step = { keepMs: DAY_MS, limit: 2, nowMs: 0 };
        const numbers = async () => (await log.states.look(['e', 'f'])).builds.map(({ number }) => number);
        await forgetAll(log.states, step);
        expect(await numbers()).toEqual([old, other, begunAgain]);
        await store(log.states, [stateRow(begunAgain, { seq: 5 })]);
        await log.states.complete([begunAgain]);
        await forgetAll(log.states, step);
        expect(await numbers()).toEqual([old, other, begunAgain]);
        expect(await readAllStates(log.states, [old])).toHaveLength(5);
        await log.states.release('a');
        await logs.abandon();
        await claim(other, begunAgain);
        await forgetAll(log.states, step);
        expect(await numbers()).toEqual([other, begunAgain]);
        const names = [1, 2, 3, 4, 5].map((n) => ({ build: old, key: `k${n}`, channel: 'user.u1' }));
        expect(await findRows(log.states, names)).toEqual(names.map(() => undefined));
        expect(await readAllStates(log.states, [other, begunAgain])).toHaveLength(2);
      });

      test('one that is being forgotten is none any more: who wants its version begins another', async () => {
        await using logs = factory();
        await using log = await logs.open();
        const [old] = await begun(log.states, 'e');
        await store(
          log.states,
          range(1, 5).map((seq) => stateRow(old, { seq, key: `k${seq}` })),
        );
        await log.states.complete([old]);
        const later = (await log.states.register([{ entity: 'e', version: 2 }]))[1]?.number as number;
        await log.states.complete([later]);
        await logs.abandon();
        await log.states.claim({ holder: 'a', builds: [later], forMs: MINUTE_MS });
        expect(await log.states.forget({ keepMs: DAY_MS, limit: 2, nowMs: 0 })).toBe(true);
        await store(log.states, [stateRow(old, { seq: 9, key: 'new' })]);
        expect(await findRows(log.states, [{ build: old, key: 'new', channel: 'user.u1' }])).toEqual([undefined]);
        expect((await log.states.look(['e'])).builds.map(({ number }) => number)).toEqual([later]);
        const again = await log.states.register([E1]);
        expect(again).toMatchObject([{ number: later }, { ...E1, seq: 0, isComplete: false }]);
        expect(again[1]?.number).toBeGreaterThan(later);
      });
    });

    describe('claims', () => {
      test('one holder writes a build until it is released', async () => {
        await using logs = factory();
        await using log = await logs.open();
        const [one, two] = await begun(log.states, 'e', 'f');
        const claim = (holder: string, ...builds: number[]) => log.states.claim({ holder, builds, forMs: MINUTE_MS });
        expect(await claim('a', two)).toEqual([two]);
        expect(await claim('b', two, one)).toEqual([one]);
        expect(await claim('a', one, two)).toEqual([two]);
        expect(await claim('a', 999, two)).toEqual([two]);
        await log.states.release('nobody');
        expect(await claim('c', one, two)).toEqual([]);
        await log.states.release('a');
        expect(await claim('c', one, two)).toEqual([two]);
      });

      test('of several who claim at once one gets it', async () => {
        await using logs = factory();
        await using log = await logs.open();
        const builds = await begun(log.states, 'e', 'f');
        const claimed = await Promise.all(
          range(1, 8).map((n) =>
            log.states.claim({ holder: `h${n}`, builds: n % 2 === 0 ? builds : builds.toReversed(), forMs: MINUTE_MS }),
          ),
        );
        expect(claimed.flat().sort((a, b) => a - b)).toEqual(builds);
      });

      test('a claim ends by itself, and lasts while it is repeated', async () => {
        await using logs = factory();
        await using log = await logs.open();
        const builds = await begun(log.states, 'e');
        await log.states.claim({ holder: 'a', builds, forMs: 50 });
        await log.states.claim({ holder: 'a', builds, forMs: MINUTE_MS });
        expect(await log.states.claim({ holder: 'b', builds, forMs: MINUTE_MS })).toEqual([]);
        await log.states.claim({ holder: 'a', builds, forMs: 1 });
        await expect.poll(() => log.states.claim({ holder: 'b', builds, forMs: MINUTE_MS })).toEqual(builds);
        expect(await log.states.claim({ holder: 'a', builds, forMs: MINUTE_MS })).toEqual([]);
      });
    });

    describe('forgetting', () => {
      test('what has ended becomes a removal after its time, which is kept for as long and then forgotten', async () => {
        await using logs = factory();
        let now = DAY_MS;
        await using log = await logs.open({ now: () => now });
        const { states } = log;
        const [build] = await begun(states, 'e');
        await log.append(newEvents(7, 'user.u1'));
        const row = (key: string, seq: number, condition: 'open' | 'closed' | 'gone') => stateRow(build, { key, seq, condition });
        const rows = [row('open', 1, 'open'), row('closed', 2, 'closed'), row('reopened', 3, 'closed'), row('gone', 4, 'gone')];
        await store(states, rows, { checkpoint: 7, nowMs: now });
        const forget = () => forgetAll(states, { keepMs: 1000, limit: 10, nowMs: now });
        const keys = async () => (await findRows(states, rows)).map((each) => each?.key);
        now += 1000;
        await store(states, [row('reopened', 5, 'open')], { nowMs: now });
        await forget();
        expect(await keys()).toEqual(['open', 'closed', 'reopened', 'gone']);
        now += 1;
        await forget();
        expect(await keys()).toEqual(['open', undefined, 'reopened', undefined]);
        expect((await readAllStates(states, [build])).map(({ key }) => key)).toEqual(['open', 'reopened']);
        const query = { builds: [build], channels: EVERYTHING, after: 0, limit: 10 };
        const told = { removals: [{ number: expect.any(Number), build, channel: 'user.u1', family: 'user', key: 'closed', seq: 7 }] };
        expect(await states.removals(query)).toEqual({ ...told, next: undefined });
        const { builds, removals } = await states.look(['e']);
        expect(builds).toMatchObject([{ forgottenSeq: 4 }]);
        expect(await states.removals({ ...query, after: removals })).toEqual({ removals: [], next: undefined });
        now += 1000;
        await forget();
        expect((await states.removals(query)).removals).toHaveLength(1);
        now += 1;
        await forget();
        expect((await states.removals(query)).removals).toEqual([]);
        // Whoever has the states at 7 may not have heard of it.
        expect((await states.look(['e'])).builds).toMatchObject([{ forgottenSeq: 8 }]);
      });

      test('what has ended is forgotten behind the end of the log, and goes once all up to there is folded', async () => {
        await using logs = factory();
        let now = DAY_MS;
        await using log = await logs.open({ now: () => now });
        const { states } = log;
        const [build] = await begun(states, 'e');
        await log.append(newEvents(3, 'user.u1'));
        const rows = ['a', 'b', 'c'].map((key) => stateRow(build, { key, seq: 1, condition: 'closed' }));
        await store(states, rows, { checkpoint: 1, nowMs: now });
        now += 1001;
        const forget = () => forgetAll(states, { keepMs: 1000, limit: 10, nowMs: now });
        const found = async () => (await states.find(rows)).map(({ row, forgottenSeq }) => [row?.seq, forgottenSeq]);
        await forget();
        expect(await found()).toEqual([1, 1, 1].map((seq) => [seq, 3]));
        await log.append(newEvents(2, 'user.u1'));
        await forget();
        // One changed before it was forgotten, and one began anew behind that.
        await store(states, [stateRow(build, { key: 'a', seq: 2, condition: 'closed' }), stateRow(build, { key: 'b', seq: 5 })], {
          checkpoint: 5,
          nowMs: now,
        });
        await forget();
        expect(await found()).toEqual([
          [2, 0],
          [5, 0],
          [undefined, 3],
        ]);
        expect((await states.removals({ builds: [build], channels: EVERYTHING, after: 0, limit: 10 })).removals).toMatchObject([
          { key: 'c', seq: 3 },
        ]);
        now += 1001;
        await forget();
        expect(await found()).toEqual([
          [undefined, 5],
          [5, 0],
          [undefined, 0],
        ]);
      });

      test('what waits to be removed keeps nothing from being forgotten', async () => {
        await using logs = factory();
        let now = DAY_MS;
        await using log = await logs.open({ now: () => now });
        const { states } = log;
        const [build, behind] = await begun(states, 'e', 'f');
        await log.append([...newEvents(21, 'user.u1')]);
        const rows = range(1, 20).map((seq) => stateRow(behind, { seq, key: `k${seq}`, condition: 'closed' }));
        await store(states, rows, { checkpoint: 20, nowMs: now });
        await store(states, [stateRow(build, { seq: 21, condition: 'closed' })], { checkpoint: 21, nowMs: now });
        now += 1001;
        await forgetAll(states, { keepMs: 1000, limit: 5, nowMs: now });
        expect((await states.find(rows)).map(({ forgottenSeq }) => forgottenSeq)).toEqual(rows.map(() => 21));
        const { removals } = await states.removals({ builds: [build, behind], channels: EVERYTHING, after: 0, limit: 100 });
        expect(removals).toMatchObject([{ build, seq: 21 }]);
      });

      test('a removal is told to whoever comes back until all who serve states have heard of it', async () => {
        await using logs = factory();
        let now = DAY_MS;
        await using log = await logs.open({ now: () => now });
        const { states } = log;
        const [build] = await begun(states, 'e');
        await log.append(newEvents(1, 'user.u1'));
        await store(states, [stateRow(build, { seq: 1, condition: 'closed' })], { checkpoint: 1, nowMs: now });
        const keepMs = 2 * REMOVAL_SETTLES_MS;
        const forget = () => forgetAll(states, { keepMs, limit: 10, nowMs: now });
        const toldTo = async (seq: number) =>
          (await states.removals({ builds: [build], channels: EVERYTHING, after: 0, seq, limit: 10 })).removals.length;
        now += keepMs + 1;
        await forget();
        await log.append(newEvents(4, 'user.u1'));
        expect(await toldTo(5)).toBe(1);
        now += REMOVAL_SETTLES_MS;
        await forget();
        expect(await toldTo(5)).toBe(1);
        now += 1;
        await forget();
        await log.append(newEvents(1, 'user.u1'));
        expect([await toldTo(5), await toldTo(6)]).toEqual([1, 0]);
      });

      test('goes in steps, each of which says whether more may be left', async () => {
        await using logs = factory();
        let now = DAY_MS;
        await using log = await logs.open({ now: () => now });
        const [build] = await begun(log.states, 'e');
        const rows = range(1, 5).map((seq) => stateRow(build, { seq, key: `k${seq}`, condition: 'closed' }));
        await store(log.states, rows, { nowMs: now });
        now += 10;
        const left: [boolean, number][] = [];
        for (let steps = 0; steps < 4; steps += 1) {
          const isMore = await log.states.forget({ keepMs: 5, limit: 2, nowMs: now });
          left.push([isMore, (await readAllStates(log.states, [build])).length]);
        }
        expect(left).toEqual([
          [true, 3],
          [true, 1],
          [false, 0],
          [false, 0],
        ]);
      });

      test('removals are read in pages, of builds and channels, and of what was known at a number', async () => {
        await using logs = factory();
        let now = DAY_MS;
        await using log = await logs.open({ now: () => now });
        const { states } = log;
        const [one, two] = await begun(states, 'e', 'f');
        for (const n of range(1, 6)) {
          await log.append([newEvent('user.u1')]);
          const channel = n % 3 === 0 ? 'global' : 'user.u1';
          now = DAY_MS;
          await store(states, [stateRow(n % 2 === 0 ? two : one, { seq: n, key: `k${n}`, channel, condition: 'closed' })], { nowMs: now });
          // Each time those before have settled.
          now = (200 + n) * DAY_MS;
          await forgetAll(states, { keepMs: 100 * DAY_MS, limit: 10, nowMs: now });
        }
        const read = async (query: Partial<Parameters<typeof states.removals>[0]>) => {
          const keys: string[] = [];
          for (let after: number | undefined = 0; after !== undefined; ) {
            const page: Awaited<ReturnType<typeof states.removals>> = await states.removals({
              builds: [one, two],
              channels: EVERYTHING,
              limit: 2,
              ...query,
              after,
            });
            for (const { number } of page.removals) expect(number).toBeGreaterThan(after);
            keys.push(...page.removals.map(({ key, seq }) => `${key}@${seq}`));
            after = page.next;
          }
          return keys;
        };
        const all = ['k1@1', 'k2@2', 'k3@3', 'k4@4', 'k5@5', 'k6@6'];
        for (const limit of [1, 2, 6, 7]) expect(await read({ limit })).toEqual(all);
        expect(await read({ seq: 4 })).toEqual(all.slice(2));
        expect(await read({ builds: [two] })).toEqual(['k2@2', 'k4@4', 'k6@6']);
        expect(await read({ channels: channelSetOf(['global']) })).toEqual(['k3@3', 'k6@6']);
        expect(await read({ channels: channelSetOf(['user.*']), builds: [one], seq: 2 })).toEqual(['k1@1', 'k5@5']);
        const [first] = (await states.removals({ builds: [one], channels: EVERYTHING, after: 0, limit: 1 })).removals;
        expect(await states.removals({ builds: [one, two], channels: EVERYTHING, after: first?.number ?? 0, limit: 1 })).toMatchObject({
          removals: [{ key: 'k2' }],
        });
      });
    });

    describe('retention', () => {
      test('removes no event that a build in use has yet to fold', async () => {
        await using logs = factory();
        let now = DAY_MS;
        await using log = await logs.open({ now: () => now });
        const [one, two] = await begun(log.states, 'e', 'f');
        for (const day of [1, 2, 3, 4]) {
          now = day * DAY_MS;
          await log.append(newEvents(2, 'global'));
        }
        now = 9 * DAY_MS;
        const first = async () => {
          await trimAll(log, DAY_MS);
          return (await log.bounds()).first;
        };
        const fold = (build: number, checkpoint: number) =>
          log.states.write({ rows: [], builds: [build], writtenSeq: checkpoint, checkpoint, nowMs: now });
        expect(await first()).toBe(1);
        await fold(one, 8);
        expect(await first()).toBe(1);
        await fold(two, 2);
        expect(await first()).toBe(3);
        // Storage that drops whole days keeps what is before it on its day.
        await fold(two, 5);
        expect([5, 6]).toContain(await first());
        await fold(two, 8);
        expect(await first()).toBe(9);
        expect((await log.states.look(['e', 'f'])).builds).toHaveLength(2);
      });
    });

    test('after closing, everything is refused as unavailable', async () => {
      await using logs = factory();
      const log = await logs.open();
      const builds = await begun(log.states, 'e');
      await log[Symbol.asyncDispose]();
      const { states } = log;
      for (const call of [
        () => states.look(['e']),
        () => states.find([{ build: 1, key: 'k', channel: 'global' }]),
        () => readAllStates(states, builds),
        () => store(states, [stateRow(1, { seq: 1 })]),
        () => states.claim({ holder: 'a', builds, forMs: 1 }),
        () => states.removals({ builds, channels: EVERYTHING, after: 0, limit: 1 }),
      ])
        await expect(call()).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    });

    if (!durable) return;
    describe('reopening', () => {
      test('finds rows, builds and removals again, and gives no number of a removal twice', async () => {
        await using logs = factory();
        let now = DAY_MS;
        const rowsOf = async (states: Parameters<typeof begun>[0], build: number) => ({
          rows: await readAllStates(states, [build]),
          look: await states.look(['e']),
          removals: await states.removals({ builds: [build], channels: EVERYTHING, after: 0, limit: 10 }),
        });
        const closed = (build: number, key: string, seq: number) => stateRow(build, { seq, key, condition: 'closed' });
        const first = await logs.open({ now: () => now });
        const [build] = await begun(first.states, 'e');
        await first.append(newEvents(4, 'user.u1'));
        await store(first.states, [closed(build, 'a', 1), stateRow(build, { seq: 3 })], { checkpoint: 4, nowMs: now });
        await first.states.complete([build]);
        now += 10;
        await forgetAll(first.states, { keepMs: 5, limit: 10, nowMs: now });
        const before = await rowsOf(first.states, build);
        expect([before.rows.length, before.removals.removals.length]).toEqual([1, 1]);
        await first[Symbol.asyncDispose]();
        await using second = await logs.open({ now: () => now });
        expect(await rowsOf(second.states, build)).toEqual(before);
        expect(await begun(second.states, 'e')).toEqual([build]);
        await store(second.states, [closed(build, 'b', 4)], { nowMs: now });
        now += 10;
        await forgetAll(second.states, { keepMs: 5, limit: 10, nowMs: now });
        const { removals } = await second.states.look(['e']);
        expect(removals).toBeGreaterThan(before.look.removals);
      });

      test('a build that nobody used while retention went past it is made anew', async () => {
        await using logs = factory();
        let now = DAY_MS;
        const first = await logs.open({ now: () => now });
        const [old] = await begun(first.states, 'e');
        await first.append(newEvents(2, 'user.u1'));
        await store(first.states, [stateRow(old, { seq: 1 })]);
        await first.states.complete([old]);
        await first[Symbol.asyncDispose]();
        await logs.abandon();
        now = 9 * DAY_MS;
        await using second = await logs.open({ now: () => now });
        await second.append(newEvents(1, 'user.u1'));
        await trimAll(second, DAY_MS);
        expect(await second.bounds()).toEqual({ first: 3, head: 3 });
        expect((await second.states.look(['e'])).builds).toEqual([]);
        expect(await second.states.claim({ holder: 'a', builds: [old], forMs: 1 })).toEqual([]);
        expect(await readAllStates(second.states, [old])).toEqual([]);
        const again = await second.states.register([E1]);
        expect(again).toMatchObject([{ ...E1, seq: 2, isComplete: false, builtSeq: 0 }]);
        await forgetAll(second.states, { keepMs: DAY_MS, limit: 1, nowMs: now });
        expect(await findRows(second.states, [{ build: old, key: 'k', channel: 'user.u1' }])).toEqual([undefined]);
        expect(await second.states.register([E1])).toEqual(again);
      });
    });
  });
}
