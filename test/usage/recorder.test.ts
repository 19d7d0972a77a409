/** Noting who uses what: what is written and how often, what a store that fails does, and what a flood of names does. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Role } from '../../src/contract/admin.ts';
import type { Filter } from '../../src/contract/filter.ts';
import { UsageRecorder } from '../../src/usage/recorder.ts';
import { BOUNDS, type Caller, type ContractClient, DAY_MS, KEPT_DAYS, type UsageStore } from '../../src/usage/usage.ts';
import { usageFile } from '../../src/usage/usage-file.ts';
import { TODAY } from '../contracts/usage.ts';
import { channelSetOf, contract } from '../helpers/lumiere.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'], now: TODAY * DAY_MS });
});
afterEach(() => {
  vi.useRealTimers();
});

const caller = (sub = 'ada', { role = 'user', client }: { role?: Role; client?: string } = {}): Caller => ({
  principal: { sub, role },
  ...(client !== undefined && { identity: { client, contract: null } }),
});
const filterOf = (patterns: readonly string[], types?: readonly string[]): Filter => ({
  channels: channelSetOf(patterns),
  types: types && new Set(types),
});
const STARTED = { type: 'backtest.started', family: 'backtest' } as const;

interface Stage {
  readonly recorder: UsageRecorder;
  /** The clients of each write. */
  readonly writes: (readonly ContractClient[])[];
  readonly errors: unknown[];
  readonly lost: unknown[];
  subscribed: (Caller & { readonly subscriptions: readonly { readonly filter: Filter }[] })[];
  /** Why nothing can be stored now. */
  problem: Error | undefined;
}

function stageOf(): Stage {
  const inner = usageFile(undefined, () => undefined);
  const store: UsageStore = {
    add: async (clients, today) => {
      if (stage.problem !== undefined) throw stage.problem;
      stage.writes.push(clients);
      await inner.add(clients, today);
    },
    load: (today) => (stage.problem === undefined ? inner.load(today) : Promise.reject(stage.problem)),
  };
  const errors: unknown[] = [];
  const lost: unknown[] = [];
  const recorder = new UsageRecorder({
    store,
    contract,
    subscribed: () => stage.subscribed,
    onError: (error) => errors.push(error),
    onLost: (error) => lost.push(error),
  });
  const stage: Stage = { recorder, writes: [], errors, lost, subscribed: [], problem: undefined };
  return stage;
}

const usesOf = (clients: readonly ContractClient[]) => clients.flatMap(({ uses }) => [...uses.keys()]).sort();

describe('what is noted', () => {
  test.each<[string, Filter, readonly string[]]>([
    ['all of a family', filterOf(['backtest.*']), ['channel backtest', 'followed backtest']],
    ['channels, without their ids', filterOf(['backtest.b1', 'backtest.b2']), ['channel backtest', 'followed backtest']],
    ['types', filterOf(['backtest.*'], ['backtest.started']), ['channel backtest', 'named backtest.started']],
    ['no type that its channels never carry', filterOf(['backtest.*'], ['forge.job.started']), ['channel backtest']],
    ['no type that there is none of', filterOf(['global'], ['a.b']), ['channel global']],
  ])('of a subscription to %s', async (_what, filter, uses) => {
    const { recorder } = stageOf();
    recorder.selected(caller(), filter);
    expect(usesOf(await recorder.clients())).toEqual(uses);
  });

  test('of a publish: the type and the family', async () => {
    const { recorder } = stageOf();
    recorder.published(caller('cartographe', { role: 'service', client: 'x/1' }), [STARTED, STARTED]);
    expect(await recorder.clients()).toEqual([
      {
        sub: 'cartographe',
        role: 'service',
        client: 'x/1',
        contract: null,
        uses: new Map([
          ['published backtest.started', TODAY],
          ['channel backtest', TODAY],
        ]),
      },
    ]);
  });
});

describe('writing', () => {
  test('happens once a minute, and of each use once a day', async () => {
    const { recorder, writes } = stageOf();
    recorder.published(caller(), [STARTED]);
    expect(writes).toEqual([]);
    vi.advanceTimersByTime(59_999);
    expect(writes).toEqual([]);
    vi.advanceTimersByTime(1);
    await vi.waitFor(() => expect(writes.map(usesOf)).toEqual([['channel backtest', 'published backtest.started']]));
    for (let minute = 0; minute < 100; minute += 1) {
      recorder.published(caller(), [STARTED]);
      vi.advanceTimersByTime(60_000);
    }
    await recorder.write();
    expect(writes).toHaveLength(1);
    recorder.published(caller(), [{ type: 'backtest.failed', family: 'backtest' }]);
    await recorder.write();
    expect(writes.map(usesOf)[1]).toEqual(['published backtest.failed']);
    vi.advanceTimersByTime(DAY_MS);
    recorder.published(caller(), [STARTED]);
    await recorder.write();
    expect(writes.map(usesOf)[2]).toEqual(['channel backtest', 'published backtest.started']);
    await recorder[Symbol.asyncDispose]();
  });

  test('what lasts is noted anew each day, and does not expire', async () => {
    const stage = stageOf();
    const filter = filterOf(['backtest.*']);
    stage.recorder.selected(caller(), filter);
    await stage.recorder.write();
    stage.subscribed = [{ ...caller(), subscriptions: [{ filter }] }];
    for (let day = 0; day <= KEPT_DAYS + 1; day += 1) {
      vi.setSystemTime(Date.now() + DAY_MS);
      await stage.recorder.write();
    }
    expect(usesOf(await stage.recorder.clients())).toEqual(['channel backtest', 'followed backtest']);
    expect(stage.writes).toHaveLength(KEPT_DAYS + 3);
    stage.subscribed = [];
    vi.setSystemTime(Date.now() + (KEPT_DAYS + 1) * DAY_MS);
    expect(await stage.recorder.clients()).toEqual([]);
  });

  test('a clock that goes back over midnight writes nothing again, one that was far ahead everything', async () => {
    const { recorder, writes } = stageOf();
    const writesAt = async (ms: number) => {
      vi.setSystemTime(ms);
      recorder.published(caller(), [STARTED]);
      await recorder.write();
      return writes.length;
    };
    const midnight = (TODAY + 1) * DAY_MS;
    expect([await writesAt(midnight), await writesAt(midnight - 3_600_000), await writesAt(midnight + 1)]).toEqual([1, 1, 1]);
    expect([await writesAt(midnight + 365 * DAY_MS), await writesAt(midnight), await writesAt(midnight + 1)]).toEqual([2, 3, 3]);
    for (let day = 1; day <= KEPT_DAYS + 1; day += 1) await writesAt(midnight + day * DAY_MS);
    expect(usesOf(await recorder.clients())).toEqual(['channel backtest', 'published backtest.started']);
  });

  test('an orderly end writes what is new', async () => {
    const { recorder, writes, lost } = stageOf();
    recorder.published(caller(), [STARTED]);
    await recorder[Symbol.asyncDispose]();
    expect([writes.length, lost]).toEqual([1, []]);
    vi.advanceTimersByTime(600_000);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a store that fails', () => {
  test('is reported once, and gets everything when it is back', async () => {
    const stage = stageOf();
    const { recorder, errors } = stage;
    stage.problem = new Error('disk full');
    recorder.published(caller(), [STARTED]);
    await recorder.write();
    recorder.selected(caller(), filterOf(['global']));
    await recorder.write();
    expect(errors).toEqual([stage.problem]);
    await expect(recorder.clients()).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    stage.problem = undefined;
    const uses = ['channel backtest', 'channel global', 'followed global', 'published backtest.started'];
    expect(usesOf(await recorder.clients())).toEqual(uses);
    stage.problem = new Error('disk full again');
    recorder.published(caller('eve'), [STARTED]);
    await recorder.write();
    expect(errors).toHaveLength(2);
  });

  test('has lost, at the end, what it could not store: nobody is told that it is tried again', async () => {
    const stage = stageOf();
    const { recorder, errors, lost } = stage;
    stage.problem = new Error('away');
    recorder.published(caller(), [STARTED]);
    await recorder[Symbol.asyncDispose]();
    expect([errors, lost]).toEqual([[], [stage.problem]]);
  });

  test('does not hold up the end', async () => {
    const inner = usageFile(undefined, () => undefined);
    const store: UsageStore = { ...inner, add: () => Promise.withResolvers<void>().promise };
    const told = vi.fn();
    const recorder = new UsageRecorder({ store, contract, subscribed: () => [], onError: told, onLost: told });
    recorder.published(caller(), [STARTED]);
    const startedAt = performance.now();
    await recorder[Symbol.asyncDispose]();
    expect(performance.now() - startedAt).toBeLessThan(5000);
    expect(told.mock.calls).toEqual([[undefined]]);
  });
});

describe('a flood', () => {
  test('of client names leaves each write and what is kept bounded, and others alone', async () => {
    const { recorder, writes } = stageOf();
    recorder.published(caller('cartographe', { role: 'service' }), [STARTED]);
    for (let n = 0; n < 20_000; n += 1) recorder.selected(caller('eve', { client: `c/${n}` }), filterOf(['global']));
    const found = await recorder.clients();
    expect([writes[0]?.length, found.length]).toEqual([BOUNDS.ofPrincipal + 1, BOUNDS.ofPrincipal + 1]);
    expect(found.some(({ sub }) => sub === 'cartographe')).toBe(true);
  });

  test('of subs too', async () => {
    const { recorder, writes } = stageOf();
    recorder.published(caller('cartographe', { role: 'service' }), [STARTED]);
    const filter = filterOf(['global']);
    for (let n = 0; n < 20_000; n += 1) recorder.selected(caller(`eve${n}`), filter);
    const found = await recorder.clients();
    expect([writes[0]?.length, found.length]).toEqual([BOUNDS.clients, BOUNDS.clients]);
    expect(found.some(({ sub }) => sub === 'cartographe')).toBe(true);
  });
});
