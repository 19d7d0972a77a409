/** The types of the hooks, checked by the compiler: the channel decides what an event can be. The components are never rendered. */
import { createElement } from 'react';
import { expectTypeOf, test } from 'vitest';
import type { Contract, CourierClient, CourierError, CourierEvent, EventOn, Gap, OrderState, StateEntry } from '../../client/src/index.ts';
import {
  type ChannelState,
  type ChannelStatus,
  CourierProvider,
  type EntitiesView,
  type EntityView,
  useBacktest,
  useBacktestEvents,
  useChannel,
  useCourierClient,
  useEntities,
  useEntity,
  useForgeJobEvents,
  useJob,
  useLatest,
  useOrders,
  usePositions,
  useStrategy,
  useStrategyEvents,
  useUserEvents,
} from '../../client/src/react.ts';

type OfType<P extends string, T extends string> = Extract<EventOn<P>, { readonly type: T }>;

test('a channel, a pattern or a list decides what the events can be', () => {
  const Component = ({ id, channel }: { id: string | null; channel: string }) => {
    expectTypeOf(useChannel('backtest.b1')).toEqualTypeOf<ChannelState<EventOn<'backtest.b1'>>>();
    expectTypeOf(useChannel('forge.**').events).toEqualTypeOf<readonly EventOn<'forge.**'>[]>();
    expectTypeOf(useChannel(['backtest.*', 'forge.job.j1']).latest).toEqualTypeOf<EventOn<'backtest.*' | 'forge.job.j1'> | undefined>();
    expectTypeOf(useChannel(id === null ? null : `backtest.${id}`).latest).toEqualTypeOf<EventOn<`backtest.${string}`> | undefined>();
    expectTypeOf(useChannel(channel).latest).toEqualTypeOf<CourierEvent | undefined>();
    // @ts-expect-error: no channel is called so.
    useChannel('backtests.b1');
    // @ts-expect-error: nor one of these.
    useChannel(['backtest.b1', 'backtests.*']);
    // @ts-expect-error: an id is no channel.
    useChannel(7);
  };
  expectTypeOf(Component).returns.toBeVoid();
});

test('types are those that the channels carry, and narrow the events', () => {
  const Component = () => {
    const { events } = useChannel('backtest.*', {
      types: ['backtest.progress', 'backtest.failed'],
      onEvent: (event) => expectTypeOf(event).toEqualTypeOf<OfType<'backtest.*', 'backtest.progress' | 'backtest.failed'>>(),
      onGap: (gap) => expectTypeOf(gap).toEqualTypeOf<Gap>(),
    });
    expectTypeOf(events[0]?.type).toEqualTypeOf<'backtest.progress' | 'backtest.failed' | undefined>();
    // @ts-expect-error: trades are not on the channels of backtests.
    useChannel('backtest.*', { types: ['trade.executed'] });
    expectTypeOf(useLatest('strategy.s1', 'position.updated')).toEqualTypeOf<OfType<'strategy.s1', 'position.updated'> | undefined>();
    // @ts-expect-error: likewise.
    useLatest('backtest.b1', 'position.updated');
  };
  expectTypeOf(Component).returns.toBeVoid();
});

test('narrowing by type gives the data of that type', () => {
  const Component = () => {
    const { latest } = useChannel('backtest.b1');
    if (latest?.type !== 'backtest.completed') return;
    expectTypeOf(latest.data.metrics.total_return).toEqualTypeOf<number>();
    expectTypeOf(latest.channel).toEqualTypeOf<`backtest.${string}`>();
    expectTypeOf(latest.metadata.timestamp).toEqualTypeOf<Date>();
    // @ts-expect-error: that is of another type.
    latest.data.progress;
  };
  expectTypeOf(Component).returns.toBeVoid();
});

test('families, with ids that may be absent', () => {
  const Component = ({ id }: { id: string | null | undefined }) => {
    expectTypeOf(useBacktestEvents(id)).toEqualTypeOf<ChannelState<EventOn<'backtest.*'>>>();
    expectTypeOf(useForgeJobEvents(id)).toEqualTypeOf<ChannelState<EventOn<'forge.job.*'>>>();
    expectTypeOf(useStrategyEvents(id, { types: ['order.filled'] })).toEqualTypeOf<ChannelState<OfType<'strategy.*', 'order.filled'>>>();
    expectTypeOf(useUserEvents()).toEqualTypeOf<ChannelState<EventOn<'user.*'>>>();
    // @ts-expect-error: jobs are not on the channels of strategies.
    useStrategyEvents(id, { types: ['forge.job.started'] });
  };
  expectTypeOf(Component).returns.toBeVoid();
});

test('the entity decides what the things are', () => {
  const Component = ({ id }: { id: string | null | undefined }) => {
    const { items, isReady, error } = useEntities(['strategy.*', 'global'], 'order', { open: true, where: { 'state.side': 'buy' } });
    expectTypeOf(items).toEqualTypeOf<readonly StateEntry<'order'>[]>();
    expectTypeOf({ isReady, error }).toEqualTypeOf<{ isReady: boolean; error: CourierError | undefined }>();
    expectTypeOf(useEntity(id ? `strategy.${id}` : null, 'order', id).state).toEqualTypeOf<OrderState | undefined>();
    // @ts-expect-error: no such entity.
    useEntities('strategy.*', 'orders');
    // @ts-expect-error: no channel is called so.
    useEntity('strategies.s1', 'order', 'o1');
    // @ts-expect-error: no such field.
    useEntities('strategy.*', 'order', { where: { 'state.colour': 'red' } });
    // @ts-expect-error: the component is what ends it.
    useEntities('strategy.*', 'order', { signal: new AbortController().signal });
  };
  expectTypeOf(Component).returns.toBeVoid();
});

test('each entity has a hook', () => {
  const Component = ({ id }: { id: string | null | undefined }) => {
    expectTypeOf(useBacktest(id)).toEqualTypeOf<EntityView<'backtest'>>();
    expectTypeOf(useStrategy(id)).toEqualTypeOf<EntityView<'strategy'>>();
    expectTypeOf(useJob(id)).toEqualTypeOf<EntityView<'job'>>();
    expectTypeOf(useOrders(id, { open: true })).toEqualTypeOf<EntitiesView<'order'>>();
    expectTypeOf(usePositions(id)).toEqualTypeOf<EntitiesView<'position'>>();
    // @ts-expect-error: that has one of a thing by its id.
    useBacktest(id, { open: true });
    // @ts-expect-error: no such field.
    usePositions(id, { where: { 'state.colour': 'red' } });
  };
  expectTypeOf(Component).returns.toBeVoid();
});

test('the state says what went wrong, and cannot be changed', () => {
  const Component = () => {
    const state = useUserEvents(null);
    expectTypeOf(state.status).toEqualTypeOf<ChannelStatus>();
    expectTypeOf(state.gap).toEqualTypeOf<Gap | undefined>();
    expectTypeOf(state.error).toEqualTypeOf<CourierError | undefined>();
    // @ts-expect-error: it is shared.
    state.events.push();
  };
  expectTypeOf(Component).returns.toBeVoid();
});

test('the provider takes a client, whatever its contract is', () => {
  const Tree = (clients: { own: CourierClient; other: CourierClient<Contract> }) => [
    createElement(CourierProvider, { client: clients.own }),
    createElement(CourierProvider, { client: clients.other }),
    // @ts-expect-error: it needs one.
    createElement(CourierProvider, {}),
  ];
  expectTypeOf(Tree).returns.toBeArray();
});

test('the client of the tree is that of the contract', () => {
  const Component = () => {
    const client = useCourierClient();
    expectTypeOf(client).toEqualTypeOf<CourierClient>();
    // @ts-expect-error: a type that does not exist
    void client.publish('backtest.b1', 'backtest.exploded', { backtest_id: 'b1' });
  };
  expectTypeOf(Component).returns.toBeVoid();
});
