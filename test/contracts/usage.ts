/** What every store of uses guarantees, as tests. Each implementation runs them all through a factory of its own. */
import { describe, expect, test } from 'vitest';
import type { Role } from '../../src/contract/admin.ts';
import { BOUNDS, type ContractClient, KEPT_DAYS, type UsageStore } from '../../src/usage/usage.ts';

export interface UsageStoreFactory extends AsyncDisposable {
  /** As another process would open it: after this one where only one may, else beside it. */
  open(): Promise<UsageStore>;
}

export interface UsageStoreSuite {
  readonly factory: () => Promise<UsageStoreFactory> | UsageStoreFactory;
  /** Whether what is kept outlives the process. */
  readonly isDurable: boolean;
  /** Whether several use it at once. */
  readonly isShared: boolean;
}

export const TODAY = 20_000;

export function clientOf(
  sub: string,
  uses: Readonly<Record<string, number>>,
  { role = 'user', client = null, contract = null }: { role?: Role; client?: string | null; contract?: string | null } = {},
): ContractClient {
  return { client, contract, sub, role, uses: new Map(Object.entries(uses)) };
}

const named = (count: number, of: (index: number) => ContractClient) => Array.from({ length: count }, (_, index) => of(index));
/** In an order of their own: a store promises none. */
const sorted = (clients: readonly ContractClient[]) =>
  clients
    .map(({ sub, role, client, contract, uses }) => {
      const inOrder = [...uses].sort(([a], [b]) => (a < b ? -1 : 1));
      return { sub, role, client, contract, uses: Object.fromEntries(inOrder) };
    })
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
const subsIn = (clients: readonly ContractClient[], role: Role) => clients.filter((one) => one.role === role).map(({ sub }) => sub);

export function describeUsageStore(name: string, suite: UsageStoreSuite): void {
  describe(name, () => {
    keepsUses(suite);
    expires(suite);
    isBounded(suite);
  });
}

function keepsUses({ factory, isDurable, isShared }: UsageStoreSuite): void {
  test('what was added is there, for each client of each principal', async () => {
    await using place = await factory();
    const store = await place.open();
    const clients = [
      clientOf('ada', { 'followed global': TODAY }),
      clientOf('ada', { 'published a.b': TODAY }, { role: 'admin' }),
      clientOf('ada', { 'named a.b': TODAY }, { client: 'x/1' }),
      clientOf('ada', { 'named a.c': TODAY }, { client: 'x/1', contract: '0123456789abcdef' }),
      clientOf('ada', { 'named a.d': TODAY }, { contract: '0123456789abcdef' }),
      clientOf(String.fromCharCode(...Array.from({ length: 94 }, (_, n) => n + 33)), { 'channel forge.job': TODAY }, { role: 'service' }),
    ];
    expect(await store.load(TODAY)).toEqual([]);
    await store.add(clients, TODAY);
    for (const one of isDurable ? [store, await place.open()] : [store]) expect(sorted(await one.load(TODAY))).toEqual(sorted(clients));
  });

  test('of each use the latest day counts, whatever is added first', async () => {
    await using place = await factory();
    const store = await place.open();
    await store.add([clientOf('ada', { 'published a': TODAY - 2, 'published b': TODAY })], TODAY);
    await store.add([clientOf('ada', { 'published a': TODAY - 1, 'published b': TODAY - 3, 'published c': TODAY })], TODAY);
    await store.add([clientOf('ada', { 'published b': TODAY - 5 })], TODAY);
    const [ada] = sorted(await store.load(TODAY));
    expect(ada?.uses).toEqual({ 'published a': TODAY - 1, 'published b': TODAY, 'published c': TODAY });
    const [later] = sorted(await store.load(TODAY + KEPT_DAYS));
    expect(later?.uses).toEqual({ 'published b': TODAY, 'published c': TODAY });
  });

  if (!isShared) return;
  test('several add to it at once', async () => {
    await using place = await factory();
    const stores = [await place.open(), await place.open(), await place.open()];
    const uses = named(10, (index) => clientOf('ada', { [`published t${index}`]: TODAY, 'channel global': TODAY }));
    const adds = stores.flatMap((store) => uses.map((one) => store.add([one, clientOf('eve', { 'named a': TODAY })], TODAY)));
    await Promise.all(adds);
    for (const store of stores) {
      const [ada, eve] = sorted(await store.load(TODAY));
      expect([Object.keys(ada?.uses ?? {}).length, eve?.uses]).toEqual([11, { 'named a': TODAY }]);
    }
  });
}

function expires({ factory }: UsageStoreSuite): void {
  test('a use is kept for 30 days, and no longer, each for itself', async () => {
    await using place = await factory();
    const store = await place.open();
    await store.add([clientOf('ada', { 'published a': TODAY, 'published b': TODAY }), clientOf('eve', { 'named a': TODAY })], TODAY);
    await store.add([clientOf('ada', { 'published b': TODAY + 1 })], TODAY + 1);
    const last = TODAY + KEPT_DAYS;
    expect(sorted(await store.load(last)).map(({ sub, uses }) => [sub, Object.keys(uses)])).toEqual([
      ['ada', ['published a', 'published b']],
      ['eve', ['named a']],
    ]);
    expect(sorted(await store.load(last + 1))).toEqual([expect.objectContaining({ sub: 'ada', uses: { 'published b': TODAY + 1 } })]);
    expect(await store.load(last + 2)).toEqual([]);
    // What is forgotten does not come back.
    await store.add([clientOf('eve', { 'named b': last + 2 })], last + 2);
    expect(sorted(await store.load(last + 2))).toEqual([expect.objectContaining({ sub: 'eve', uses: { 'named b': last + 2 } })]);
  });

  test('a day that a wrong clock wrote counts as today', async () => {
    await using place = await factory();
    const store = await place.open();
    const ahead = TODAY + 1000;
    await store.add([clientOf('ada', { 'published a': ahead })], ahead);
    await store.add([clientOf('eve', { 'published a': ahead })], TODAY);
    await store.add([clientOf('ada', { 'published b': TODAY })], TODAY);
    expect(sorted(await store.load(TODAY)).map(({ uses }) => Object.values(uses))).toEqual([[TODAY, TODAY], [TODAY]]);
    expect(await store.load(TODAY + KEPT_DAYS + 1)).toEqual([]);
  });
}

function isBounded({ factory }: UsageStoreSuite): void {
  test('of a principal the clients are kept that were added last', async () => {
    await using place = await factory();
    const store = await place.open();
    const use = { 'named a': TODAY };
    await store.add([clientOf('eve', use, { client: 'other' }), clientOf('ada', use, { role: 'admin', client: 'other' })], TODAY);
    for (const from of [0, 40])
      await store.add(
        named(40, (n) => clientOf('ada', use, { client: `c/${from + n}` })),
        TODAY,
      );
    const found = await store.load(TODAY);
    const own = found.filter(({ sub, role }) => sub === 'ada' && role === 'user').map(({ client }) => client);
    expect(own.sort()).toEqual(Array.from({ length: BOUNDS.ofPrincipal }, (_, n) => `c/${60 + n}`));
    expect(found).toHaveLength(BOUNDS.ofPrincipal + 2);
  });

  test('of all clients those of users go first, then those of admins, the ones that were added longest ago', async () => {
    await using place = await factory();
    const store = await place.open();
    const use = { 'named a': TODAY };
    const some = (role: Role, count: number, from = 0) => named(count, (n) => clientOf(`${role}${from + n}`, use, { role }));
    await store.add([...some('service', 10), ...some('admin', 10), ...some('user', 2500)], TODAY);
    await store.add([clientOf('user0', use, { role: 'user' }), ...some('user', 2500, 2500)], TODAY);
    const found = await store.load(TODAY);
    expect([found.length, subsIn(found, 'service').length, subsIn(found, 'admin').length]).toEqual([BOUNDS.clients, 10, 10]);
    const users = new Set(subsIn(found, 'user'));
    // user0 was added again.
    expect(['user0', 'user1', 'user20', 'user21', 'user4999'].map((sub) => users.has(sub))).toEqual([true, false, false, true, true]);
    await store.add(some('service', BOUNDS.clients - 12, 10), TODAY);
    const later = await store.load(TODAY);
    expect([subsIn(later, 'service').length, subsIn(later, 'admin').sort(), subsIn(later, 'user')]).toEqual([
      BOUNDS.clients - 2,
      ['admin8', 'admin9'],
      [],
    ]);
  }, 60_000);

  test('of the uses of a client the oldest go', async () => {
    await using place = await factory();
    const store = await place.open();
    const uses = (from: number, count: number, day: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`published t${from + n}`, day]));
    await store.add([clientOf('ada', uses(0, 400, TODAY - 1))], TODAY);
    await store.add([clientOf('ada', uses(0, 50, TODAY))], TODAY);
    await store.add([clientOf('ada', uses(400, 200, TODAY))], TODAY);
    const [ada] = await store.load(TODAY);
    expect(ada?.uses.size).toBe(BOUNDS.uses);
    expect([...(ada?.uses.values() ?? [])].filter((day) => day === TODAY)).toHaveLength(250);
  });

  test('all together take about 4 MiB at most', async () => {
    await using place = await factory();
    const store = await place.open();
    const uses = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`published ${'x'.repeat(100)}${n}`, TODAY]));
    for (let batch = 0; batch < 5; batch += 1)
      await store.add(
        named(100, (n) => clientOf(`ada${batch * 100 + n}`, uses)),
        TODAY,
      );
    const found = await store.load(TODAY);
    const bytes = found.reduce((sum, { uses }) => sum + [...uses.keys()].reduce((own, use) => own + use.length, 0), 0);
    expect(bytes).toBeLessThan(BOUNDS.bytes);
    expect(bytes).toBeGreaterThan(BOUNDS.bytes * 0.75);
    expect(found.some(({ sub }) => sub === 'ada499')).toBe(true);
  });
}
