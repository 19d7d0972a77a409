/**
 * Entities: what Lumiere's reducers make of any events that may be published, and what an entity makes of reducers and migrations that
 * are wrong.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { familyIn, idIn } from '../../src/contract/channels.ts';
import { defineContract, defineService, earlierVersion } from '../../src/contract/define.ts';
import type { EntityDefinition } from '../../src/contract/definition.ts';
import { type Entity, type Folded, type FoldedEvent, keyPart, MAX_KEY_UNITS } from '../../src/contract/entities.ts';
import { id, text } from '../../src/contract/fields.ts';
import { anyData, IDS } from '../helpers/any-data.ts';
import { contract } from '../helpers/lumiere.ts';

afterEach(() => void vi.unstubAllGlobals());

const entityOf = (name: string) => contract.entities.get(name) as Entity;
type Fields = Readonly<Record<string, unknown>>;

/** An event of one of the entity's types, as the gateway stores it on one of the channels that have the entity. */
function anyEvent(entity: Entity): fc.Arbitrary<Omit<FoldedEvent, 'id'>> {
  const types = entity.types.map((type) => {
    const { data, families, service } = contract.types.get(type) as NonNullable<ReturnType<typeof contract.types.get>>;
    const family = fc.constantFrom(...families.filter((each) => entity.families.includes(each)));
    return fc
      .record({ data: anyData(data) as fc.Arbitrary<Fields>, family, id: fc.constantFrom('a', ...IDS), at: fc.nat(1e9) })
      .map(({ data: made, family: carrier, id: any, at }) => {
        const said = made[contract.families.get(carrier)?.id ?? ''];
        const channel = carrier === 'global' ? carrier : `${carrier}.${typeof said === 'string' ? said : any}`;
        return { channel, type, metadata: { timestamp: new Date(at * 1000).toISOString(), source: service }, data: made };
      });
  });
  return fc.oneof(...types);
}

function anyEvents(entity: Entity): fc.Arbitrary<FoldedEvent[]> {
  const events = fc.array(anyEvent(entity), { minLength: 1, maxLength: 30, size: 'max' });
  return events.map((all) => all.map((event, index) => ({ id: `4f9xq2-${index + 1}`, ...event })));
}

type States = Map<string, object>;
const NONE: States = new Map();

/** The states after the events, by channel and key, as whoever keeps them folds; `prepared` are the arguments of each fold. */
function folded(
  entity: Entity,
  events: readonly FoldedEvent[],
  before: States = NONE,
  prepared: <T>(argument: T) => T = (argument) => argument,
): States {
  const states = new Map(before);
  for (const event of events) {
    const key = entity.keyOf(event);
    if (key === undefined) continue;
    const name = `${event.channel} ${key}`;
    const { state, problem } = entity.fold(prepared(states.get(name)), prepared(event)) as unknown as { state?: object; problem?: string };
    if (problem !== undefined) throw new Error(`${event.type}: ${problem}`);
    if (state === undefined) states.delete(name);
    else states.set(name, state);
  }
  return states;
}

const written = (states: States) => JSON.stringify([...states]);
const kept = (states: States): States => new Map(JSON.parse(written(states)));

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}

describe.each([...contract.entities])('%s', (_name, entity) => {
  const events = anyEvents(entity);

  test('of events that may be published', () => {
    let keys = 0;
    let shared = 0;
    fc.assert(
      fc.property(events, (all) => {
        const seen = new Set<string>();
        for (const event of all) {
          expect(contract.types.get(event.type)?.data.safeParse(event.data).error).toBeUndefined();
          expect(contract.mayCarry(event.channel, event.type)).toBe(true);
          expect(contract.strayId(event.channel, event.data as Fields)).toBeUndefined();
          const key = entity.keyOf(event);
          if (key === undefined) continue;
          keys += 1;
          const name = `${event.channel} ${key}`;
          if (seen.has(name)) shared += 1;
          seen.add(name);
        }
      }),
    );
    // Else the properties below would say little.
    expect(keys).toBeGreaterThan(100);
    expect(shared).toBeGreaterThan(20);
  });

  test('the same events make the same states, which are those of the schema, and nothing that is handed in is changed', () => {
    fc.assert(
      fc.property(events, (all) => {
        const states = folded(entity, all);
        expect(written(folded(entity, structuredClone(all), NONE, frozen))).toBe(written(states));
        for (const state of states.values()) {
          expect(entity.schema.safeParse(JSON.parse(JSON.stringify(state))).error).toBeUndefined();
          expect(entity.isOpen(state)).toBe(entity.isOpen(frozen(JSON.parse(JSON.stringify(state)))));
        }
      }),
    );
  });

  test('a reducer looks at the state and the event only', () => {
    const nothing = () => {
      throw new Error('a reducer looks elsewhere');
    };
    fc.assert(
      fc.property(events, (all) => {
        const states = folded(entity, all);
        let again: States;
        try {
          vi.stubGlobal('Date', new Proxy(Date, { construct: nothing, apply: nothing, get: nothing }));
          vi.stubGlobal('performance', { now: nothing });
          vi.stubGlobal('crypto', { getRandomValues: nothing, randomUUID: nothing });
          vi.stubGlobal('process', new Proxy({}, { get: nothing }));
          vi.stubGlobal('Math', Object.assign(Object.create(Math), { random: nothing }));
          again = folded(entity, all);
          for (const [name, state] of states) entity.isOpen(again.get(name) ?? state);
        } finally {
          vi.unstubAllGlobals();
        }
        expect(written(again)).toBe(written(states));
      }),
    );
  });

  test('it does not matter where the fold begins, when what was kept by then was kept as JSON', () => {
    fc.assert(
      fc.property(events, fc.nat(), (all, at) => {
        const cut = at % (all.length + 1);
        const whole = folded(entity, all);
        expect(written(folded(entity, all.slice(cut), kept(folded(entity, all.slice(0, cut)))))).toBe(written(whole));
        // Each state by itself: kept after every event.
        expect(written(all.reduce((states, event) => kept(folded(entity, [event], states)), NONE))).toBe(written(whole));
      }),
    );
  });

  test('keys are equal for equal fields only, and the id of the channel stands in for the field', () => {
    fc.assert(
      fc.property(events, (all) => {
        const fieldsByKey = new Map<string, string>();
        for (const { channel, data } of all) {
          const idField = contract.families.get(familyIn(channel) ?? '')?.id;
          const fields = entity.key.map((field) => (data as Fields)[field] ?? (field === idField ? idIn(channel) : undefined));
          const key = entity.keyOf({ channel, data });
          expect(key === undefined).toBe(fields.includes(undefined));
          if (key === undefined) continue;
          const said = JSON.stringify(fields);
          expect(fieldsByKey.get(key) ?? said).toBe(said);
          expect(key).toBe(fields.map((field) => encoded(String(field))).join('/'));
          fieldsByKey.set(key, said);
        }
        expect(new Set(fieldsByKey.values()).size).toBe(fieldsByKey.size);
      }),
    );
  });
});

/** Said otherwise than the code does: every unit by itself. */
function encoded(value: string): string {
  const units = Array.from({ length: value.length }, (_, at) => value.charCodeAt(at));
  const isPlain = (unit: number) => unit > 0x1f && unit !== 0x7f && unit !== 0x25 && unit !== 0x2f;
  const hex = (unit: number) => `%${(unit < 16 ? '0' : '') + unit.toString(16).toUpperCase()}`;
  return units.map((unit) => (isPlain(unit) ? String.fromCharCode(unit) : hex(unit))).join('');
}

/** An entity of a contract with two texts for its key, one of which is the id of a family, and what is changed of it. */
function entityWith(change: Partial<EntityDefinition> = {}): Entity {
  const shop = defineService({
    events: {
      'a.b': {
        on: ['shelf'],
        description: 'Something was put on a shelf.',
        data: z.strictObject({ thing: z.string(), shelf_id: id.optional(), n: z.number().optional() }),
        examples: [{ thing: 'x' }],
      },
    },
  });
  const definition = {
    description: 'A thing on a shelf.',
    types: ['a.b'],
    key: ['shelf_id', 'thing'],
    state: z.strictObject({ n: z.number(), text: text.optional(), more: z.unknown().optional() }),
    reduce: () => ({ n: 1 }),
    open: () => true,
    ...change,
  } satisfies EntityDefinition;
  const { entities } = defineContract({
    name: 'shop',
    families: { shelf: { id: 'shelf_id' }, room: { id: 'room_id' } },
    services: { shop },
    entities: { thing: definition },
  });
  return entities.get('thing') as Entity;
}

describe('a key', () => {
  const entity = entityWith();
  const key = (channel: string, data: object) => entity.keyOf({ channel, data });

  test.each<[string, object, string | undefined]>([
    ['shelf.s1', { thing: 'BTC/USD' }, 's1/BTC%2FUSD'],
    ['shelf.s1', { thing: 'x', shelf_id: 's1' }, 's1/x'],
    ['shelf.s1', { thing: '' }, 's1/'],
    ['shelf.s1', { thing: '%2F%' }, 's1/%252F%25'],
    ['shelf.s1', { thing: '\u0000\n\u007f' }, 's1/%00%0A%7F'],
    ['shelf.s1', { thing: 'é😀' }, 's1/é😀'],
    ['user.ada', { thing: 'x', shelf_id: 's1' }, 's1/x'],
    // The id of the user is no shelf.
    ['user.ada', { thing: 'x' }, undefined],
    ['global', { thing: 'x' }, undefined],
    ['shelf.s1', {}, undefined],
    ['shelf.s1', { thing: null }, undefined],
    ['shelf.s1', { thing: 7 }, undefined],
    ['shelf.s1', { thing: 'x'.repeat(MAX_KEY_UNITS - 3) }, `s1/${'x'.repeat(MAX_KEY_UNITS - 3)}`],
    ['shelf.s1', { thing: 'x'.repeat(MAX_KEY_UNITS) }, `s1/${'x'.repeat(MAX_KEY_UNITS)}`],
    // It is the key that is too long.
  ])('on %s of %j', (channel, data, expected) => expect(key(channel, data)).toBe(expected));

  test('is the same for the same texts only, whatever they are', () => {
    const part = fc.oneof(
      fc.stringMatching(/^[ab/%0-9A-F]{0,4}$/),
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: fc.constantFrom('%', '/', '2', 'F', '\u0000', '\u001f', '\u0080') }),
    );
    fc.assert(
      fc.property(part, part, part, part, (a, b, c, d) => {
        const [one, other] = [key('global', { shelf_id: a, thing: b }), key('global', { shelf_id: c, thing: d })];
        expect(one === other).toBe(a === c && b === d);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
        expect(one).not.toMatch(/[\u0000-\u001f\u007f]/);
        expect(one).toBe(`${keyPart(a)}/${keyPart(b)}`);
        expect((one as string).split('/').map(decodeURIComponent)).toEqual([a, b]);
      }),
    );
  });
});

describe('of a reducer that is wrong an event changes nothing, and the problem has nothing of the data:', () => {
  const event: FoldedEvent = {
    id: '4f9xq2-1',
    channel: 'shelf.s1',
    type: 'a.b',
    metadata: { timestamp: '2026-01-31T09:30:00.000Z', source: 'shop' },
    data: { thing: 'SECRET' },
  };
  const thrown = (error: unknown) => () => {
    throw error;
  };
  const circle: Record<string, unknown> = { n: 1 };
  circle['more'] = circle;
  const SECRET = 'SECRET';

  const CASES: [what: string, makes: () => unknown, problem: string][] = [
    ['an error', thrown(new RangeError(SECRET)), 'failed with RangeError'],
    ['something else that is thrown', thrown(SECRET), 'failed with string'],
    ['a promise', () => Promise.resolve({ n: 1 }), 'it makes a promise'],
    ['a promise that is not kept', () => Promise.reject(new Error(SECRET)), 'it makes a promise'],
    ['a number that is none', () => ({ n: Number.NaN }), 'it makes state.n, which must be a finite number'],
    ['a number that is not exact', () => ({ n: 2 ** 60 }), 'it makes state.n, which must be from '],
    ['a date', () => ({ n: 1, more: { since: new Date(0) } }), 'it makes state.more.since, which must be JSON, not an instance of a class'],
    ['a map', () => new Map([[SECRET, SECRET]]), 'it makes state, which must be JSON, not an instance of a class'],
    ['a function', () => ({ n: 1, more: [() => SECRET] }), 'it makes state.more.0, which must be JSON, not function'],
    ['a bigint', () => ({ n: 1n }), 'it makes state.n, which must be JSON, not bigint'],
    ['half of a character', () => ({ n: 1, text: '\ud83d' }), 'it makes state.text, which must be well-formed Unicode'],
    ['a circle', () => circle, 'it makes state.more.more'],
    [
      'a key that breaks receivers',
      () => ({ n: 1, more: JSON.parse('{"__proto__":1}') }),
      'it makes state.more.__proto__, which is a key that is not allowed',
    ],
    ['too much', () => ({ n: 1, more: 'x'.repeat(262_144) }), 'it makes state, which must be at most 262144 bytes as JSON'],
    ['null', () => null, "it makes what the state's schema refuses (state: invalid_type)"],
    ['a text', () => SECRET, "it makes what the state's schema refuses (state: invalid_type)"],
    ['a field of another type', () => ({ n: SECRET }), "it makes what the state's schema refuses (state.n: invalid_type)"],
    ['a field that is missing', () => ({}), "it makes what the state's schema refuses (state.n: invalid_type)"],
    ['a field that there is not', () => ({ n: 1, [SECRET]: 1 }), "it makes what the state's schema refuses (state: unrecognized_keys)"],
    [
      'a text that is too long',
      () => ({ n: 1, text: SECRET.repeat(999) }),
      "it makes what the state's schema refuses (state.text: too_big)",
    ],
  ];
  const expectProblem = (made: Folded, problem: string) => {
    expect(made).toEqual({ problem: expect.stringContaining(problem) });
    expect(made.problem).not.toContain(SECRET);
  };

  test.each(CASES)('%s', (_what, makes, problem) => {
    const entity = entityWith({ reduce: makes as () => object });
    expectProblem(entity.fold(undefined, event), problem);
    expectProblem(entity.fold({ n: 1 }, event), problem);
  });

  test.each(CASES)('likewise of a migration: %s', (_what, makes, problem) => {
    const entity = entityWith({ version: 2, migrate: { 1: earlierVersion(z.strictObject({}), makes as () => object) } });
    expectProblem(entity.migrate(1, {}), problem);
  });

  test('what it makes is a state, none, or the state that there was', () => {
    const was = { n: 7 };
    expect(entityWith({ reduce: () => ({ n: 2, text: undefined }) }).fold(was, event)).toEqual({ state: { n: 2 } });
    expect(entityWith({ reduce: () => undefined }).fold(was, event)).toEqual({ state: undefined });
    expect(entityWith({ reduce: (state) => state as never }).fold(was, event).problem).toBeUndefined();
    const { state } = entityWith({ reduce: (given) => given as never }).fold(was, event) as { state: object };
    expect(state).toBe(was);
  });

  test('an entity of which it cannot be said whether it is open is kept', () => {
    expect(entityWith({ open: thrown(new Error(SECRET)) }).isOpen({ n: 1 })).toBe(true);
    expect(entityWith({ open: () => true }).isOpen({ n: 1 })).toBe(true);
    expect(entityWith({ open: () => false }).isOpen({ n: 1 })).toBe(false);
  });

  test('a migration begins with what its version had, and there has to be one', () => {
    const earlier = earlierVersion(z.strictObject({ count: z.number() }), ({ count }) => ({ n: count }));
    const entity = entityWith({ version: 3, migrate: { 2: earlier } });
    expect(entity.migrate(2, { count: 4 })).toEqual({ state: { n: 4 } });
    expectProblem(entity.migrate(2, { count: SECRET }), 'it is not of the form that the contract says version 2 had');
    expectProblem(entity.migrate(2, { count: 1, [SECRET]: 1 }), 'it is not of the form that the contract says version 2 had');
    expectProblem(entity.migrate(2, null), 'it is not of the form that the contract says version 2 had');
    for (const version of [1, 3, 4])
      expectProblem(entity.migrate(version, { n: 1 }), `the contract has no way from its version ${version}`);
  });
});

describe('what a person reads:', () => {
  const DAY = (day: number) => `2026-01-${String(day).padStart(2, '0')}T09:30:00.000Z`;
  const CHANNELS = { backtest: 'backtest.b1', job: 'forge.job.j1' } as Readonly<Record<string, string>>;

  /** The last state after events, the first of which happens on the first of January, the second on the second. */
  function stateOf(name: string, ...events: readonly [type: string, data: Fields][]): unknown {
    const entity = entityOf(name);
    const channel = CHANNELS[name] ?? 'strategy.s1';
    const all = events.map(([type, data], index) => {
      expect(contract.types.get(type)?.data.safeParse(data).error).toBeUndefined();
      const metadata = { timestamp: DAY(index + 1), source: contract.serviceOf(type) as string };
      return { id: `4f9xq2-${index + 1}`, channel, type, metadata, data };
    });
    const [state, ...others] = [...folded(entity, all).values()];
    expect(others).toEqual([]);
    return state && { ...state, open: entity.isOpen(state) };
  }

  const common = { order_id: 'o1', symbol: 'BTC/USD', side: 'buy' } as const;
  const placed = ['order.placed', { ...common, order_type: 'limit', quantity: '1.5', limit_price: '100' }] as const;
  const fill = (quantity: string, price: string, remaining_quantity?: string) =>
    ['order.filled', { ...common, quantity, price, ...(remaining_quantity !== undefined && { remaining_quantity }) }] as [string, Fields];
  const cancelled = ['order.cancelled', { order_id: 'o1', reason: 'expired' }] as const;
  const order = { ...common, order_type: 'limit', quantity: '1.5', limit_price: '100', placed_at: DAY(1) };

  test('an order that is placed, filled in part, then wholly', () => {
    const open = { ...order, status: 'open', open: true };
    const parts = [[...placed], fill('0.5', '99.5', '1'), fill('1', '100', '0')] as [string, Fields][];
    expect(stateOf('order', ...parts.slice(0, 1))).toEqual({
      ...open,
      filled_quantity: '0',
      remaining_quantity: '1.5',
      changed_at: DAY(1),
    });
    expect(stateOf('order', ...parts.slice(0, 2))).toEqual({
      ...open,
      filled_quantity: '0.5',
      remaining_quantity: '1',
      last_price: '99.5',
      changed_at: DAY(2),
    });
    expect(stateOf('order', ...parts)).toEqual({
      ...order,
      status: 'filled',
      open: false,
      filled_quantity: '1.5',
      remaining_quantity: '0',
      last_price: '100',
      changed_at: DAY(3),
    });
  });

  test('an order that is cancelled, with what was filled of it', () => {
    expect(stateOf('order', [...placed], fill('0.5', '99.5', '1'), [...cancelled])).toEqual({
      ...order,
      status: 'cancelled',
      open: false,
      reason: 'expired',
      filled_quantity: '0.5',
      remaining_quantity: '1',
      last_price: '99.5',
      changed_at: DAY(3),
    });
    expect(stateOf('order', [...cancelled])).toEqual({
      order_id: 'o1',
      status: 'cancelled',
      open: false,
      reason: 'expired',
      filled_quantity: '0',
      changed_at: DAY(1),
    });
    expect(stateOf('order', [...placed], fill('1.5', '99.5'), [...cancelled])).toMatchObject({ status: 'filled', filled_quantity: '1.5' });
    expect(stateOf('order', [...placed], [...cancelled], fill('1.5', '99.5'))).toMatchObject({ status: 'filled', reason: 'expired' });
  });

  test('an order whose fill comes before its placing, and one that is placed twice', () => {
    expect(stateOf('order', fill('0.5', '99.5', '1'), [...placed])).toEqual({
      ...order,
      status: 'open',
      open: true,
      filled_quantity: '0.5',
      remaining_quantity: '1',
      last_price: '99.5',
      placed_at: DAY(2),
      changed_at: DAY(2),
    });
    expect(stateOf('order', fill('1.5', '99.5'), [...placed])).toMatchObject({
      status: 'filled',
      open: false,
      filled_quantity: '1.5',
      remaining_quantity: '0',
    });
    expect(stateOf('order', [...placed], fill('0.5', '99.5', '1'), [...placed])).toMatchObject({
      status: 'open',
      filled_quantity: '0.5',
      remaining_quantity: '1',
    });
  });

  test('a backtest, which no progress changes any more once it has ended', () => {
    const started = ['backtest.started', { backtest_id: 'b1', strategy_id: 's1', symbol: 'SPX', bars_total: 100 }] as [string, Fields];
    const progress = ['backtest.progress', { backtest_id: 'b1', progress: 0.25, bars_processed: 25 }] as [string, Fields];
    const metrics = { total_return: 0.4, max_drawdown: 0.2, trades: 3 };
    const completed = ['backtest.completed', { backtest_id: 'b1', metrics, duration_ms: 12 }] as [string, Fields];
    const failed = ['backtest.failed', { backtest_id: 'b1', code: 'crash', message: 'worker died', retryable: true }] as [string, Fields];
    const running = { backtest_id: 'b1', strategy_id: 's1', symbol: 'SPX', bars_total: 100, started_at: DAY(1) };
    expect(stateOf('backtest', started)).toEqual({ ...running, status: 'running', open: true, progress: 0, changed_at: DAY(1) });
    const half = { ...running, progress: 0.25, bars_processed: 25 };
    expect(stateOf('backtest', started, progress)).toEqual({ ...half, status: 'running', open: true, changed_at: DAY(2) });
    const done = { ...half, status: 'completed', open: false, progress: 1, metrics, duration_ms: 12, changed_at: DAY(3) };
    expect(stateOf('backtest', started, progress, completed)).toEqual(done);
    expect(stateOf('backtest', started, progress, completed, progress)).toEqual(done);
    const failure = { code: 'crash', message: 'worker died', retryable: true };
    const over = { ...half, status: 'failed', open: false, failure, changed_at: DAY(3) };
    expect(stateOf('backtest', started, progress, failed)).toEqual(over);
    expect(stateOf('backtest', started, progress, failed, progress)).toEqual(over);
    // It is tried again.
    expect(stateOf('backtest', started, failed, progress, completed)).toEqual({
      ...done,
      progress: 1,
      bars_processed: undefined,
      changed_at: DAY(4),
    });
    expect(stateOf('backtest', progress)).toMatchObject({ status: 'running', progress: 0.25 });
  });

  test('a job', () => {
    const started = ['forge.job.started', { job_id: 'j1', kind: 'backtests' }] as [string, Fields];
    const progress = ['forge.job.progress', { job_id: 'j1', progress: 0.5, step: 'search' }] as [string, Fields];
    const completed = ['forge.job.completed', { job_id: 'j1', result: { winner: 's1' } }] as [string, Fields];
    const done = {
      job_id: 'j1',
      kind: 'backtests',
      status: 'completed',
      open: false,
      progress: 1,
      step: 'search',
      result: { winner: 's1' },
      started_at: DAY(1),
      changed_at: DAY(3),
    };
    expect(stateOf('job', started, progress, completed)).toEqual(done);
    expect(stateOf('job', started, progress, completed, progress)).toEqual(done);
  });

  test('a strategy with its last backtest', () => {
    const generated = ['strategy.generation.completed', { strategy_id: 's1', score: 1.25 }] as [string, Fields];
    const metrics = { total_return: 0.4, max_drawdown: 0.2, trades: 3 };
    const strategy = { strategy_id: 's1', status: 'generated', open: true, progress: 1, score: 1.25 };
    const tested = (...last: [string, Fields][]) => stateOf('strategy', generated, ['backtest.started', { backtest_id: 'b1' }], ...last);
    expect(tested()).toEqual({
      ...strategy,
      last_backtest: { backtest_id: 'b1', status: 'running', changed_at: DAY(2) },
      changed_at: DAY(2),
    });
    expect(tested(['backtest.completed', { backtest_id: 'b1', metrics }])).toEqual({
      ...strategy,
      last_backtest: { backtest_id: 'b1', status: 'completed', metrics, changed_at: DAY(3) },
      changed_at: DAY(3),
    });
    const failure = { code: 'too_short', message: 'too few bars' };
    const last_backtest = { backtest_id: 'b1', status: 'failed', failure, changed_at: DAY(3) };
    expect(tested(['backtest.failed', { backtest_id: 'b1', ...failure }])).toEqual({ ...strategy, last_backtest, changed_at: DAY(3) });
    // Generated once more, it has been tested all the same.
    expect(tested(['backtest.failed', { backtest_id: 'b1', ...failure }], ['strategy.generation.started', { strategy_id: 's1' }])).toEqual({
      strategy_id: 's1',
      status: 'generating',
      open: true,
      progress: 0,
      last_backtest,
      started_at: DAY(4),
      changed_at: DAY(4),
    });
    expect(stateOf('strategy', ['backtest.started', { backtest_id: 'b1' }])).toMatchObject({
      strategy_id: 's1',
      status: 'unknown',
      open: true,
    });
    expect(stateOf('strategy', ['strategy.generation.failed', { strategy_id: 's1', ...failure }])).toMatchObject({ failure, open: false });
  });

  test('a position, which is closed where nothing is held', () => {
    const updated = (quantity: string) =>
      stateOf('position', ['position.updated', { symbol: 'BTC/USD', quantity, average_price: '100' }]) as { open: boolean };
    expect(updated('-1.5')).toEqual({ symbol: 'BTC/USD', quantity: '-1.5', average_price: '100', open: true, changed_at: DAY(1) });
    for (const quantity of ['0', '-0', '0.00']) expect(updated(quantity).open).toBe(false);
    for (const quantity of ['0.01', '-0.000000000000000001', '10']) expect(updated(quantity).open).toBe(true);
  });
});
