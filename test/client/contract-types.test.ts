/** What compiles with the client and the hooks of another contract, and what does not. Nothing of it runs. */
import type { TRPCClient } from '@trpc/client';
import type { inferRouterError, inferRouterInputs, inferRouterOutputs } from '@trpc/server';
import { expectTypeOf, test } from 'vitest';
import type { AppRouter, BackgroundPublisher, CourierClient, EventDraft, EventIterator, EventOn, Receipt } from '../../client/src/index.ts';
import { type ChannelState, courierHooks, familyHook, userHook } from '../../client/src/react.ts';
import type { WhoAmI } from '../../client/src/router.ts';
import type { Notice } from '../../src/contract/envelope.ts';
import type { EventTypeOf, Family, IdField, Service } from '../../src/contract/types.ts';
import type { createRouter } from '../../src/router/index.ts';
import type { RouterOf } from '../../src/router/routes.ts';
import type { contract } from '../harbour/contract.ts';

type Harbour = typeof contract;
type OfType<P extends string, T extends string> = Extract<EventOn<P, Harbour>, { readonly type: T }>;

declare const client: CourierClient<Harbour>;
declare const publisher: BackgroundPublisher<Harbour>;
declare const trpc: TRPCClient<RouterOf<Harbour>>;
/** Never called: what is in it is only compiled. */
const compiled = (_code: () => unknown) => undefined;

const PILOTS = ['vessel.arriving', 'vessel.approaching', 'vessel.turned_away'] as const;
type PilotType = (typeof PILOTS)[number];

test('names are those of the contract', () => {
  expectTypeOf<Family<Harbour>>().toEqualTypeOf<'global' | 'user' | 'vessel' | 'berth' | 'yard.block'>();
  expectTypeOf<Service<Harbour>>().toEqualTypeOf<'pilotage' | 'port_office' | 'yard'>();
  expectTypeOf<EventTypeOf<Harbour, 'pilotage'>>().toEqualTypeOf<PilotType>();
  expectTypeOf<IdField<Harbour, 'vessel' | 'yard.block' | 'user'>>().toEqualTypeOf<'imo' | 'block' | 'user_id'>();
  expectTypeOf<EventOn<'vessel.*', Harbour>['type']>().toEqualTypeOf<PilotType | 'berth.freed'>();
  expectTypeOf<EventOn<'berth.*', Harbour>['type']>().toEqualTypeOf<PilotType | 'berth.freed' | 'berth.assigned'>();
  expectTypeOf<EventOn<'yard.**', Harbour>['type']>().toEqualTypeOf<EventTypeOf<Harbour, 'yard'>>();
  // At home on no family: everybody and users only.
  expectTypeOf<EventDraft<'tide.forecast', Harbour>['channel']>().toEqualTypeOf<'global' | `user.${string}`>();
});

test('a channel, a pattern or a list decides what a handler is given', () => {
  compiled(() =>
    client.subscribe('vessel.9074729', (event) => {
      expectTypeOf(event).toEqualTypeOf<EventOn<'vessel.9074729', Harbour>>();
      if (event.type === 'vessel.arriving') expectTypeOf(event.data.tugs?.[0]?.pull).toEqualTypeOf<'bow' | 'stern' | undefined>();
    }),
  );
  compiled(() => {
    const events = client.subscribe(['yard.block.*', 'global']);
    expectTypeOf(events).toEqualTypeOf<EventIterator<EventOn<'yard.block.*' | 'global', Harbour>>>();
  });
  compiled(() =>
    client.subscribe('berth.Q12', (event) => expectTypeOf(event).toEqualTypeOf<OfType<'berth.Q12', 'berth.freed'>>(), {
      types: ['berth.freed'],
    }),
  );
  compiled(async () => expectTypeOf((await client.history('yard.**')).events).toEqualTypeOf<EventOn<'yard.**', Harbour>[]>());
  // @ts-expect-error a channel of the package's own contract
  compiled(() => client.subscribe('backtest.b1', () => undefined));
  // @ts-expect-error a family needs all of its segments
  compiled(() => client.subscribe('yard.A7', () => undefined));
  // @ts-expect-error one of a list
  compiled(() => client.subscribe(['vessel.*', 'backtest.*']));
  // @ts-expect-error a type that the channel cannot carry
  compiled(() => client.subscribe('vessel.*', { types: ['container.stowed'] }));
  // @ts-expect-error a type that no contract has
  compiled(() => client.history('vessel.*', { types: ['backtest.started'] }));
});

test('an event is published with the data of its type, on a channel that carries it', () => {
  compiled(async () => {
    const receipt = await client.publish('berth.Q12', 'vessel.arriving', { imo: '1', berth_no: 'Q12', tugs: [{ name: 'A', pull: 'bow' }] });
    expectTypeOf(receipt).toEqualTypeOf<Receipt<'vessel.arriving'>>();
  });
  compiled(() => client.publish('global', 'tide.forecast', { gauge: 'G', heights: [{ at: '2026-01-02T03:04:05Z', cm: 1 }] }));
  compiled(() => client.publishBatch([{ type: 'berth.freed', channel: 'vessel.1', data: { berth_no: 'Q12' } }]));
  compiled(() => publisher.submit({ type: 'yard.block.filled', channel: 'yard.block.A7', data: { block: 'A7', filled: 1 } }));
  // @ts-expect-error a channel that cannot carry the type
  compiled(() => client.publish('vessel.1', 'berth.assigned', { berth_no: 'Q12' }));
  // @ts-expect-error at home on no family
  compiled(() => client.publish('berth.Q12', 'tide.forecast', { gauge: 'G', heights: [] }));
  // @ts-expect-error a type of the package's own contract
  compiled(() => client.publish('global', 'backtest.started', { backtest_id: 'b' }));
  // @ts-expect-error a field of another type, within a list
  compiled(() => client.publish('vessel.1', 'vessel.arriving', { imo: '1', tugs: [{ name: 'A', pull: 'side' }] }));
  // @ts-expect-error a field that does not exist, within an object
  compiled(() => client.publish('yard.block.A', 'container.stowed', { block: 'A', remark: 'r', slot: { row: 1, tier: 1, side: 1 } }));
  // @ts-expect-error a field that is missing
  compiled(() => client.publish('yard.block.A', 'container.stowed', { block: 'A' }));
  // @ts-expect-error a field of version 1
  compiled(() => client.publish('vessel.1', 'vessel.arriving', { imo: '1', draught_m: 14 }));
  // @ts-expect-error a draft of the package's own contract
  compiled(() => publisher.submit({ type: 'backtest.started', channel: 'global', data: { backtest_id: 'b' } }));
  // @ts-expect-error one draft of several
  compiled(() => client.publishBatch([{ type: 'berth.freed', channel: 'yard.block.A', data: { berth_no: 'Q12' } }]));
});

test('the procedures are those of the services and families', () => {
  expectTypeOf<CourierClient<Harbour>['trpc']>().toEqualTypeOf<TRPCClient<RouterOf<Harbour>>>();
  expectTypeOf<ReturnType<typeof createRouter<Harbour>>>().toEqualTypeOf<RouterOf<Harbour>>();
  type Inputs = inferRouterInputs<RouterOf<Harbour>>;
  expectTypeOf<keyof Inputs>().toEqualTypeOf<
    'pilotage' | 'port_office' | 'yard' | 'vessel' | 'berth' | 'user' | 'global' | 'events' | 'state' | 'auth' | 'admin'
  >();
  expectTypeOf<keyof Inputs['yard']>().toEqualTypeOf<'publish' | 'onBlock'>();
  expectTypeOf<Inputs['pilotage']['publish']['type']>().toEqualTypeOf<PilotType>();
  expectTypeOf<inferRouterOutputs<RouterOf<Harbour>>['auth']['whoami']>().toEqualTypeOf<WhoAmI>();
  expectTypeOf<inferRouterError<RouterOf<Harbour>>>().toEqualTypeOf<inferRouterError<AppRouter>>();
  compiled(() => trpc.yard.publish.mutate({ type: 'container.stowed', channel: 'yard.block.A7', data: { block: 'A7', remark: 'r' } }));
  compiled(() =>
    trpc.vessel.onEvent.subscribe(
      { imo: '9074729', types: ['berth.freed'] },
      { onData: ({ data }) => expectTypeOf(data).toEqualTypeOf<EventOn<'vessel.*', Harbour> | Notice>() },
    ),
  );
  compiled(() => trpc.yard.onBlock.subscribe({ block: 'A7', from: 'earliest' }, {}));
  compiled(() => trpc.user.onEvent.subscribe(undefined, {}));
  // @ts-expect-error another service's type
  compiled(() => trpc.yard.publish.mutate({ type: 'berth.freed', channel: 'global', data: { berth_no: 'Q12' } }));
  // @ts-expect-error the id has another name
  compiled(() => trpc.vessel.onEvent.subscribe({ vessel_id: '9074729' }, {}));
  // @ts-expect-error a type that the family cannot carry
  compiled(() => trpc.yard.onBlock.subscribe({ block: 'A7', types: ['berth.freed'] }, {}));
  // @ts-expect-error a procedure of the package's own contract
  compiled(() => trpc.forge.publish);
});

test('hooks are those of the contract', () => {
  const { useChannel, useLatest, useCourierClient } = courierHooks<Harbour>();
  const useVesselEvents = familyHook<Harbour, 'vessel'>('vessel');
  const useBlockEvents = familyHook<Harbour, 'yard.block'>('yard.block');
  const useUserEvents = userHook<Harbour>();
  const Component = ({ id }: { id: string | null | undefined }) => {
    expectTypeOf(useCourierClient()).toEqualTypeOf<CourierClient<Harbour>>();
    expectTypeOf(useChannel('yard.**')).toEqualTypeOf<ChannelState<EventOn<'yard.**', Harbour>>>();
    expectTypeOf(useChannel(['vessel.1', 'global'], { types: ['berth.freed'] }).latest).toEqualTypeOf<
      OfType<'vessel.1' | 'global', 'berth.freed'> | undefined
    >();
    expectTypeOf(useLatest('berth.Q12', 'berth.assigned')).toEqualTypeOf<OfType<'berth.Q12', 'berth.assigned'> | undefined>();
    expectTypeOf(useVesselEvents(id)).toEqualTypeOf<ChannelState<EventOn<'vessel.*', Harbour>>>();
    expectTypeOf(useBlockEvents(id, { types: ['container.stowed'] })).toEqualTypeOf<
      ChannelState<OfType<'yard.block.*', 'container.stowed'>>
    >();
    expectTypeOf(useUserEvents()).toEqualTypeOf<ChannelState<EventOn<'user.*', Harbour>>>();
    // @ts-expect-error: no channel is called so.
    useChannel('backtest.b1');
    // @ts-expect-error: berths are not given away on the channels of vessels.
    useLatest('vessel.1', 'berth.assigned');
    // @ts-expect-error: likewise.
    useVesselEvents(id, { types: ['berth.assigned'] });
  };
  expectTypeOf(Component).returns.toBeVoid();
  // @ts-expect-error a family of the package's own contract
  compiled(() => familyHook<Harbour, 'backtest'>('backtest'));
});
