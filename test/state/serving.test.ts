/**
 * What watches and pages give, of any events, wherever they come from: each client's map is the fold of the events, for what it has
 * selected, at every `state.ready` and in the end.
 */
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import type { Contract } from '../../src/contract/contract.ts';
import { contract as lumiere } from '../helpers/lumiere.ts';
import { shelf } from '../helpers/shelf.ts';
import {
  ClientState,
  type Draft,
  type Item,
  nameOf,
  type Selection,
  seqOf,
  startStates,
  type TestStates,
  type Things,
  type Watcher,
} from '../helpers/states.ts';

const CLIENTS = 4;

type Step =
  | { readonly does: 'publish'; readonly drafts: readonly Draft[] }
  | {
      readonly does: 'watch';
      readonly client: number;
      readonly selection: Selection;
      readonly pace: number | undefined;
      readonly room: number | undefined;
    }
  | { readonly does: 'stop' | 'resume'; readonly client: number }
  | { readonly does: 'room'; readonly client: number; readonly room: number }
  | { readonly does: 'get'; readonly client: number; readonly selection: Selection; readonly limit: number }
  | { readonly does: 'hold' | 'release' | 'store' | 'turn' };

const client = fc.nat(CLIENTS - 1);

function steps(draft: fc.Arbitrary<Draft>, selection: fc.Arbitrary<Selection>): fc.Arbitrary<Step[]> {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 8, arbitrary: fc.record({ does: fc.constant('publish' as const), drafts: fc.array(draft, { minLength: 1, maxLength: 6 }) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        does: fc.constant('watch' as const),
        client,
        selection,
        pace: fc.constantFrom(undefined, undefined, 100),
        room: fc.constantFrom(undefined, 1, 3),
      }),
    },
    { weight: 4, arbitrary: fc.record({ does: fc.constantFrom('stop' as const, 'resume' as const, 'resume' as const), client }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constant('room' as const), client, room: fc.constantFrom(1, 2, 5, 1e9) }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constant('get' as const), client, selection, limit: fc.integer({ min: 1, max: 5 }) }) },
    { weight: 5, arbitrary: fc.record({ does: fc.constantFrom('hold' as const, 'release' as const, 'store' as const, 'turn' as const) }) },
  );
  return fc.array(step, { minLength: 5, maxLength: 40, size: 'max' });
}

/** Reads pages, one at each call. */
class Pages {
  readonly things: Things = new Map();
  readonly selection: Selection;
  readonly #limit: number;
  #after: string | undefined;
  position = 0;
  isWhole = false;

  constructor(selection: Selection, limit: number) {
    this.selection = selection;
    this.#limit = limit;
  }

  async next(states: TestStates): Promise<void> {
    const page = await states.get({ ...this.selection, limit: this.#limit, after: this.#after });
    expect(page.reset).toBeNull();
    for (const delivery of page.items) {
      const { id: _, ...item } = JSON.parse(delivery.json) as Item;
      if (item.state === null) this.things.delete(nameOf(item));
      else this.things.set(nameOf(item), item);
    }
    if (page.has_more) expect(page.next).not.toBe(this.#after);
    this.#after = page.next;
    this.isWhole = !page.has_more;
    this.position = seqOf(page.position);
    if (this.isWhole) expect([...this.things].sort()).toEqual([...states.model(this.position, this.selection)].sort());
  }
}

interface Client {
  watcher: Watcher | undefined;
  state: ClientState;
  request: Parameters<TestStates['watch']>[0];
}

async function run(
  contract: Contract,
  all: readonly Step[],
  options: { readonly storeMs: number; readonly pageRows: number },
): Promise<void> {
  await using states = await startStates({ contract, ...options });
  await using stack = new AsyncDisposableStack();
  const clients = new Map<number, Client>();
  const pages = new Map<number, Pages>();
  const watch = (
    number: number,
    { room, state = new ClientState(), request }: { room?: number | undefined; state?: ClientState; request: Client['request'] },
  ) => {
    const watcher = stack.use(states.watch(request, { state, ...(room !== undefined && { room }) }));
    clients.set(number, { watcher, state, request });
  };
  const stop = async (number: number) => {
    const known = clients.get(number);
    await known?.watcher?.[Symbol.asyncDispose]();
    if (known !== undefined) known.watcher = undefined;
  };
  for (const step of all) {
    const { does } = step;
    if (does === 'publish') await states.publish(...step.drafts);
    else if (does === 'hold') states.store.hold();
    else if (does === 'release') states.store.release();
    else if (does === 'turn') await new Promise(setImmediate);
    else if (does === 'store') {
      if (options.storeMs > 1) continue;
      states.store.release();
      await states.stored();
    } else if (does === 'watch') {
      await stop(step.client);
      watch(step.client, { room: step.room, request: { ...step.selection, max_per_second: step.pace } });
      // It has begun, and is on its way.
      await new Promise(setImmediate);
    } else if (does === 'stop') await stop(step.client);
    else if (does === 'resume') {
      const known = clients.get(step.client);
      if (known === undefined) continue;
      await stop(step.client);
      watch(step.client, { state: known.state, request: known.request });
    } else if (does === 'room') clients.get(step.client)?.watcher?.sink.makeRoom(step.room);
    else if (does === 'get') {
      const own = pages.get(step.client) ?? new Pages(step.selection, step.limit);
      pages.set(step.client, own);
      await own.next(states);
    }
  }
  for (const each of pages.values()) {
    do await each.next(states);
    while (!each.isWhole);
    expect(each.position).toBe(states.head);
  }
  for (const [number, { watcher, state, request }] of clients) {
    if (watcher === undefined) watch(number, { state, request });
    else watcher.sink.makeRoom(Number.POSITIVE_INFINITY);
  }
  for (const { watcher, request, state } of clients.values()) {
    const wanted = [...states.model(states.head, request)].sort();
    const had = () => ({ things: [...(watcher as Watcher).things].sort(), readys: watcher?.readys });
    await vi.waitFor(() => expect(had()).toEqual({ things: wanted, readys: 1 }), { timeout: 1000, interval: 2 });
    expect(state.faults).toEqual([]);
    // Only who had parts of a selection begins anew.
    expect(state.resets.filter((reason) => reason !== 'unfinished')).toEqual([]);
    for (const { seq, things } of state.snapshots) expect([...things].sort()).toEqual([...states.model(seq, request)].sort());
  }
}

const CHANNELS = ['strategy.s1', 'strategy.s2', 'global'];
const channels = fc.constantFrom(['**'], ['strategy.s1'], ['strategy.*'], ['strategy.s2', 'global']);
const orderId = fc.constantFrom('o1', 'o2', 'o3');
const symbol = fc.constantFrom('SPX', 'NDX');
const channel = fc.constantFrom(...CHANNELS);
const decimal = fc.constantFrom('1', '2');

const onChannel = (type: string, data: fc.Arbitrary<object>): fc.Arbitrary<Draft> => fc.record({ channel, type: fc.constant(type), data });

const lumiereDraft = fc.oneof(
  onChannel(
    'order.placed',
    fc.record({ order_id: orderId, symbol, side: fc.constant('buy'), order_type: fc.constant('market'), quantity: decimal }),
  ),
  onChannel(
    'order.filled',
    fc.record({
      order_id: orderId,
      symbol,
      side: fc.constant('buy'),
      quantity: decimal,
      price: decimal,
      remaining_quantity: fc.constantFrom('0', '1'),
    }),
  ),
  onChannel('order.cancelled', fc.record({ order_id: orderId, reason: fc.constant('expired') })),
  onChannel(
    'position.updated',
    fc.record({ symbol, quantity: fc.constantFrom('0', '5', '-5'), average_price: decimal, strategy_id: fc.constantFrom('s1', 's2') }),
  ),
  fc.record({
    channel: fc.constantFrom('strategy.s1', 'strategy.s2'),
    type: fc.constantFrom('backtest.started', 'backtest.completed'),
    data: fc.record({ backtest_id: fc.constantFrom('b1', 'b2') }),
  }),
);

const lumiereSelection: fc.Arbitrary<Selection> = fc
  .record({
    channels,
    entities: fc.constantFrom<string[]>(['order'], ['order', 'position'], ['order', 'position', 'strategy', 'backtest'], ['position']),
    keys: fc.constantFrom(undefined, undefined, ['o1', 's1/SPX']),
    open: fc.constantFrom(undefined, true, false),
    symbols: fc.constantFrom(undefined, undefined, 'SPX', ['NDX', 'DAX']),
  })
  .map(({ symbols, ...selection }) => ({
    ...selection,
    ...(symbols !== undefined && !selection.entities.includes('strategy') && { where: { 'state.symbol': symbols } }),
  }));

const shelfDraft: fc.Arbitrary<Draft> = fc.oneof(
  fc.record({
    channel: fc.constantFrom('shelf.a', 'shelf.b'),
    type: fc.constant('thing.put'),
    data: fc.record(
      {
        thing: fc.constantFrom('x', 'y', 'z'),
        count: fc.nat(2),
        kind: fc.constantFrom('box', 'jar'),
        makes: fc.constantFrom('error', 'wrong', 'promise'),
      },
      { requiredKeys: ['thing', 'count', 'kind'] },
    ),
  }),
  fc.record({
    channel: fc.constantFrom('shelf.a', 'shelf.b'),
    type: fc.constant('thing.taken'),
    data: fc.record({ thing: fc.constantFrom('x', 'y', 'z') }),
  }),
);

const shelfSelection: fc.Arbitrary<Selection> = fc.record(
  {
    channels: fc.constantFrom(['**'], ['shelf.a']),
    entities: fc.constantFrom(['thing'], ['thing', 'tally']),
    keys: fc.constantFrom(['x', 'a']),
    open: fc.boolean(),
    where: fc.constantFrom({ 'state.kind': 'box' }, { 'state.kind': ['jar', 'box'], 'state.count': [0, 1] }),
  },
  { requiredKeys: ['channels', 'entities'] },
);

describe.each([
  ['Lumiere', lumiere as Contract, steps(lumiereDraft, lumiereSelection)],
  ['a contract whose things go', shelf as Contract, steps(shelfDraft, shelfSelection)],
])('%s', (_name, contract, arbitrary) => {
  test.each([
    ['memory and storage', 1],
    ['memory alone', 1e9],
  ])(
    'what is watched and read from %s is what the events made',
    async (_from, storeMs) => {
      await fc.assert(
        fc.asyncProperty(arbitrary, fc.constantFrom(1, 2, 500), (all, pageRows) => run(contract, all, { storeMs, pageRows })),
        { numRuns: Number(process.env['RUNS'] ?? 60) },
      );
    },
    120_000,
  );
});
