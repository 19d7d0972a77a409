/** The types of the contract and the router, checked by the compiler: a wrong type, field or channel does not compile. */
import type { TRPCClient } from '@trpc/client';
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server';
import { expectTypeOf, test } from 'vitest';
import type { FamilyOf, Matching } from '../../src/contract/types.ts';
import type { adminRouter } from '../../src/router/admin.ts';
import type { authRouter } from '../../src/router/auth.ts';
import type { AppRouter } from '../../src/router/index.ts';
import type { ChannelOf, CourierEvent, contract, EventData, EventDraft, EventOn, EventTypeOf, Received } from '../helpers/lumiere.ts';

type Client = TRPCClient<AppRouter>;
type Lumiere = typeof contract;
type BacktestType = EventTypeOf<'cartographe'>;

test('an event type knows its data and where it may go', () => {
  expectTypeOf<EventData<'backtest.progress'>['progress']>().toEqualTypeOf<number>();
  expectTypeOf<EventData<'order.placed'>['side']>().toEqualTypeOf<'buy' | 'sell'>();
  expectTypeOf<EventData<'backtest.completed'>['metrics']['total_return']>().toEqualTypeOf<number>();
  expectTypeOf<FamilyOf<Lumiere, 'forge.job.started'>>().toEqualTypeOf<'forge.job' | 'user' | 'global'>();
  expectTypeOf<ChannelOf<'trade.executed'>>().toEqualTypeOf<'global' | `user.${string}` | `strategy.${string}`>();
});

test('a channel or a pattern knows its events', () => {
  expectTypeOf<EventOn<'backtest.abc'>['type']>().toEqualTypeOf<BacktestType>();
  expectTypeOf<EventOn<'backtest.*'>['type']>().toEqualTypeOf<BacktestType>();
  expectTypeOf<EventOn<'forge.**'>['type']>().toEqualTypeOf<EventTypeOf<'forge'>>();
  expectTypeOf<EventOn<'backtest.abc'>['channel']>().toEqualTypeOf<`backtest.${string}`>();
  // Services and families may be added.
  expectTypeOf<EventTypeOf<'prophet' | 'cartographe' | 'chevalier'>>().toExtend<EventOn<'strategy.s'>['type']>();
  expectTypeOf<Extract<EventOn<'strategy.s'>['type'], EventTypeOf<'forge'>>>().toBeNever();
  expectTypeOf<EventOn<'**'>['type']>().toEqualTypeOf<CourierEvent['type']>();
  expectTypeOf<EventOn<string>['type']>().toEqualTypeOf<CourierEvent['type']>();
  expectTypeOf<Matching<Lumiere, '*'>>().toEqualTypeOf<'global'>();
  expectTypeOf<'user' | 'strategy' | 'backtest'>().toExtend<Matching<Lumiere, '*.x'>>();
  expectTypeOf<Extract<Matching<Lumiere, '*.x'>, 'global' | 'forge.job'>>().toBeNever();
  expectTypeOf<Matching<Lumiere, 'forge.job.x' | 'global'>>().toEqualTypeOf<'forge.job' | 'global'>();
  expectTypeOf<Matching<Lumiere, 'nope.x'>>().toBeNever();
  expectTypeOf<Extract<Received<'global'>, { type: 'courier.gap' }>['data']['reason']>().toEqualTypeOf<
    'expired' | 'epoch' | 'ahead' | 'unreadable'
  >();
});

test('narrowing by type gives the data of that type', () => {
  const describe = (event: Received<'backtest.*'>) => {
    if (event.type !== 'backtest.failed') return;
    expectTypeOf(event.data.code).toEqualTypeOf<string>();
    expectTypeOf(event.metadata.timestamp).toEqualTypeOf<Date>();
  };
  expectTypeOf(describe).returns.toEqualTypeOf<void>();
});

test('a client may send what the contract allows and nothing else', () => {
  type Publish<S extends 'prophet' | 'cartographe' | 'chevalier' | 'forge'> = Parameters<Client[S]['publish']['mutate']>[0];
  expectTypeOf<{ type: 'backtest.started'; channel: 'backtest.b'; data: { backtest_id: string } }>().toExtend<Publish<'cartographe'>>();
  expectTypeOf<EventDraft<'trade.executed'>>().toExtend<Publish<'chevalier'>>();
  // Another service's event.
  expectTypeOf<EventDraft<'trade.executed'>>().not.toExtend<Publish<'prophet'>>();
  // A type that does not exist.
  expectTypeOf<{ type: 'backtest.exploded'; channel: 'backtest.b'; data: { backtest_id: string } }>().not.toExtend<
    Publish<'cartographe'>
  >();
  // A field of the wrong type, and one that is missing.
  expectTypeOf<{ type: 'backtest.started'; channel: 'backtest.b'; data: { backtest_id: number } }>().not.toExtend<Publish<'cartographe'>>();
  expectTypeOf<{ type: 'backtest.progress'; channel: 'backtest.b'; data: { backtest_id: string } }>().not.toExtend<
    Publish<'cartographe'>
  >();
  // A channel that may not carry it.
  expectTypeOf<{ type: 'backtest.started'; channel: 'forge.job.j'; data: { backtest_id: string } }>().not.toExtend<
    Publish<'cartographe'>
  >();
  expectTypeOf<{ type: 'backtest.started'; channel: 'nowhere'; data: { backtest_id: string } }>().not.toExtend<Publish<'cartographe'>>();
});

test('a client receives what the family carries', () => {
  type Item<T> = T extends AsyncIterable<infer V> ? V : never;
  type OfBacktest = Item<inferRouterOutputs<AppRouter>['backtest']['onEvent']>;
  type OfJob = Item<inferRouterOutputs<AppRouter>['forge']['onJob']>;
  expectTypeOf<OfBacktest['data']>().toEqualTypeOf<Received<'backtest.*'>>();
  expectTypeOf<OfJob['data']>().toEqualTypeOf<Received<'forge.job.*'>>();
  expectTypeOf<OfJob['data']['type']>().toEqualTypeOf<EventTypeOf<'forge'> | 'courier.gap' | 'courier.live'>();
});

test('the procedures that every gateway has are of the types that they are declared with', () => {
  type Admin = ReturnType<typeof adminRouter>;
  type Auth = ReturnType<typeof authRouter>;
  expectTypeOf<inferRouterInputs<AppRouter>['admin']>().toEqualTypeOf<inferRouterInputs<Admin>>();
  expectTypeOf<inferRouterOutputs<AppRouter>['admin']>().toEqualTypeOf<inferRouterOutputs<Admin>>();
  expectTypeOf<inferRouterInputs<AppRouter>['auth']>().toEqualTypeOf<inferRouterInputs<Auth>>();
  expectTypeOf<inferRouterOutputs<AppRouter>['auth']>().toEqualTypeOf<inferRouterOutputs<Auth>>();
});
