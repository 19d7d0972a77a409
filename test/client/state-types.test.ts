/** The types of states, checked by the compiler: the entity decides what a state is, and which fields select. */
import { expectTypeOf, test } from 'vitest';
import type { CourierClient, EntityIn, EntityState, OrderState, StateEntry, StateMap, StateOptions } from '../../client/src/index.ts';
import type { ContractTypes, TypedContract } from '../../src/contract/types.ts';
import type { contract as harbour } from '../harbour/contract.ts';

declare const client: CourierClient;
/** Of a contract that was exported before there were entities. */
declare const stateless: CourierClient<
  TypedContract<Omit<ContractTypes, 'states'> & { families: { global: string }; data: { 'a.b': object } }>
>;
declare const ofHarbour: CourierClient<typeof harbour>;
/** Never called: what is in it is only compiled. */
const compiled = (_code: () => unknown) => undefined;

test('the entity decides what a state is', () => {
  expectTypeOf<EntityIn>().toEqualTypeOf<'backtest' | 'job' | 'order' | 'position' | 'strategy'>();
  expectTypeOf<EntityState<'order'>>().toEqualTypeOf<OrderState>();
  compiled(() => {
    const orders = client.state('strategy.*', 'order');
    expectTypeOf(orders).toEqualTypeOf<StateMap<'order'>>();
    expectTypeOf(orders.get('o1')).toEqualTypeOf<OrderState | undefined>();
    expectTypeOf(orders.items()).toEqualTypeOf<readonly StateEntry<'order'>[]>();
    expectTypeOf(orders.ready).toEqualTypeOf<Promise<void>>();
    for (const { state, entity, open } of orders) {
      expectTypeOf(state.status).toEqualTypeOf<'open' | 'filled' | 'cancelled'>();
      expectTypeOf([entity, open] as const).toEqualTypeOf<readonly ['order', boolean]>();
    }
  });
  compiled(async () =>
    expectTypeOf(await client.readState(['backtest.b1', 'global'], 'backtest')).toEqualTypeOf<readonly StateEntry<'backtest'>[]>(),
  );
  // @ts-expect-error no such entity
  compiled(() => client.state('strategy.*', 'orders'));
  // @ts-expect-error no channel is called so
  compiled(() => client.state('strategies.*', 'order'));
  // @ts-expect-error nor can it be read
  compiled(() => client.readState('strategies.*', 'order'));
  // @ts-expect-error it is shared
  compiled(() => client.state('strategy.*', 'order').items().push());
});

test('fields select by values that they can have', () => {
  compiled(() =>
    client.state('strategy.*', 'order', {
      keys: ['o1'],
      open: true,
      maxPerSecond: 5,
      where: { 'state.symbol': 'SPX', 'state.side': ['buy', 'sell'], 'state.status': 'open' },
    }),
  );
  compiled(() => client.state('backtest.*', 'backtest', { where: { 'state.progress': 1 } }));
  compiled(() => client.readState('backtest.*', 'backtest', { open: false, where: { 'state.status': ['failed'] }, timeoutMs: 5 }));
  expectTypeOf<StateOptions<'position'>['where']>().exclude<undefined>().toHaveProperty('state.symbol');
  // @ts-expect-error no such field
  compiled(() => client.state('strategy.*', 'order', { where: { 'state.colour': 'red' } }));
  // @ts-expect-error not a value of it
  compiled(() => client.state('strategy.*', 'order', { where: { 'state.side': 'hold' } }));
  // @ts-expect-error another type
  compiled(() => client.state('backtest.*', 'backtest', { where: { 'state.progress': '1' } }));
  // @ts-expect-error an object
  compiled(() => client.state('backtest.*', 'backtest', { where: { 'state.metrics': {} } }));
  // @ts-expect-error a field is of the state
  compiled(() => client.state('strategy.*', 'order', { where: { symbol: 'SPX' } }));
  // @ts-expect-error an option of subscribe
  compiled(() => client.state('strategy.*', 'order', { from: 'earliest' }));
});

test('a contract without entities has no states', () => {
  expectTypeOf<EntityIn<typeof harbour>>().toBeNever();
  // @ts-expect-error there is none
  compiled(() => stateless.state('global', 'order'));
  // @ts-expect-error likewise
  compiled(() => ofHarbour.state('vessel.*', 'order'));
  // @ts-expect-error likewise
  compiled(() => ofHarbour.readState('vessel.*', 'vessel'));
});
