/** What compiles with the client and what does not; and that its router type is the gateway's. */
import type { TRPCClient } from '@trpc/client';
import type { inferRouterError, inferRouterInputs, inferRouterOutputs } from '@trpc/server';
import { expectTypeOf, test } from 'vitest';
import {
  type AppRouter,
  type BackgroundPublisher,
  type CourierClient,
  type CourierEvent,
  type EventData,
  type EventDraft,
  type EventIterator,
  type EventOn,
  type EventType,
  type Receipt,
  type StateEntry,
  type Trace,
  withCause,
  withoutCause,
} from '../../client/src/index.ts';
import type * as contract from '../../src/contracts/lumiere/contract.ts';
import type { AppRouter as GatewayRouter } from '../../src/router/index.ts';

declare const client: CourierClient;
declare const publisher: BackgroundPublisher;
/** Never called: what is in it is only compiled. */
const compiled = (_code: () => unknown) => undefined;

/** zod says of an optional field that it may also be undefined, which no JSON is. */
type Exact<T> = T extends Date ? T : T extends object ? { [K in keyof T]: Exact<Exclude<T[K], undefined>> } : T;
/** Compiles when each of two types can stand for the other. */
const same = <A, B>(_there: (value: Exact<A>) => Exact<B>, _back: (value: Exact<B>) => Exact<A>) => undefined;

test('the router type is that of the gateway', () => {
  same<inferRouterInputs<AppRouter>, inferRouterInputs<GatewayRouter>>(
    (value) => value,
    (value) => value,
  );
  same<inferRouterOutputs<AppRouter>, inferRouterOutputs<GatewayRouter>>(
    (value) => value,
    (value) => value,
  );
  same<inferRouterError<AppRouter>, inferRouterError<GatewayRouter>>(
    (value) => value,
    (value) => value,
  );
  expectTypeOf<CourierClient['trpc']>().toEqualTypeOf<TRPCClient<AppRouter>>();
});

test('events are those of the contract', () => {
  same<CourierEvent, contract.CourierEvent>(
    (value) => value,
    (value) => value,
  );
  same<EventOn<'strategy.*'>, contract.EventOn<'strategy.*'>>(
    (value) => value,
    (value) => value,
  );
  expectTypeOf<EventOn<'forge.**'>['type']>().toEqualTypeOf<contract.EventTypeOf<'forge'>>();
  expectTypeOf<EventOn<string>['type']>().toEqualTypeOf<EventType>();
});

test('a channel, a pattern or a list decides what a handler is given', () => {
  compiled(() =>
    client.subscribe('backtest.abc', (event) => {
      expectTypeOf(event).toEqualTypeOf<EventOn<'backtest.abc'>>();
      if (event.type === 'backtest.progress') expectTypeOf(event.data).toEqualTypeOf<EventData<'backtest.progress'>>();
      expectTypeOf(event.metadata.timestamp).toEqualTypeOf<Date>();
    }),
  );
  compiled(() => {
    const events = client.subscribe(['backtest.*', 'forge.job.7']);
    expectTypeOf(events).toEqualTypeOf<EventIterator<EventOn<'backtest.*' | 'forge.job.7'>>>();
  });
  compiled(() =>
    client.subscribe('strategy.s', (event) => expectTypeOf(event.type).toEqualTypeOf<'trade.executed'>(), { types: ['trade.executed'] }),
  );
  compiled(() => client.subscribe(['global'] as string[], (event) => expectTypeOf(event.type).toEqualTypeOf<EventType>()));
  compiled(async () => expectTypeOf((await client.history('user.*')).events).toEqualTypeOf<EventOn<'user.*'>[]>());
  compiled(async () => {
    for await (const event of client.iterateHistory('user.*')) expectTypeOf(event).toEqualTypeOf<EventOn<'user.*'>>();
    for await (const { type } of client.iterateHistory('strategy.s', { types: ['trade.executed'] }))
      expectTypeOf(type).toEqualTypeOf<'trade.executed'>();
  });
});

test('a choice for gaps is one that there is', () => {
  compiled(() => client.subscribe('global', () => undefined, { onGap: 'continue' }));
  compiled(() =>
    client.subscribe('global', {
      onGap: (gap) => expectTypeOf(gap.reason).toEqualTypeOf<'expired' | 'epoch' | 'ahead' | 'unreadable'>(),
    }),
  );
  // @ts-expect-error no such choice
  compiled(() => client.subscribe('global', () => undefined, { onGap: 'ignore' }));
  compiled(() => client.iterateHistory('global', { onGap: 'continue' }));
  // @ts-expect-error no such choice
  compiled(() => client.iterateHistory('global', { onGap: 'ignore' }));
});

test('a piece of work is named in one way, and has the events of the contract', () => {
  compiled(async () => {
    const work = await client.trace({ id: 'e-1' }, { timeoutMs: 5 });
    expectTypeOf(work).toEqualTypeOf<Trace>();
    const [step] = work.steps;
    expectTypeOf(step?.event).toEqualTypeOf<CourierEvent | undefined>();
    expectTypeOf(step?.storedAt).toEqualTypeOf<Date | null | undefined>();
    expectTypeOf(step?.afterCauseMs).toEqualTypeOf<number | null | undefined>();
    if (step?.event.type === 'backtest.progress') expectTypeOf(step.event.data.progress).toEqualTypeOf<number>();
  });
  compiled(() => client.trace({ correlationId: 'run' }));
  // @ts-expect-error neither
  compiled(() => client.trace({}));
  // @ts-expect-error both
  compiled(() => client.trace({ id: 'e-1', correlationId: 'run' }));
  // @ts-expect-error no such name
  compiled(() => client.trace({ correlation_id: 'run' }));
});

test('an event is a cause, and a state is none', () => {
  const event = {} as CourierEvent;
  compiled(() => expectTypeOf(withCause(event, () => 5)).toEqualTypeOf<number>());
  compiled(() => expectTypeOf(withCause({ id: 'e-1', metadata: {} }, async () => 'a')).toEqualTypeOf<Promise<string>>());
  compiled(() => expectTypeOf(withoutCause(() => client.publishBatch([]))).toEqualTypeOf<Promise<Receipt[]>>());
  // @ts-expect-error a state
  compiled(() => withCause({} as StateEntry<'order'>, () => 5));
  // @ts-expect-error no function
  compiled(() => withCause(event, 5));
  // @ts-expect-error null is no way to say that there is none
  compiled(() => client.publish('backtest.b', 'backtest.started', { backtest_id: 'b' }, { causationId: null }));
});

test('a wrong channel, type, field or value does not compile', () => {
  compiled(async () =>
    expectTypeOf(await client.publish('backtest.b', 'backtest.progress', { backtest_id: 'b', progress: 1 })).toEqualTypeOf<
      Receipt<'backtest.progress'>
    >(),
  );
  // @ts-expect-error a channel that cannot be
  compiled(() => client.subscribe('nope.x', () => undefined));
  // @ts-expect-error one of a list
  compiled(() => client.subscribe(['global', 'nope.x'], () => undefined));
  // @ts-expect-error a type that the channel cannot carry
  compiled(() => client.subscribe('backtest.b', () => undefined, { types: ['trade.executed'] }));
  // @ts-expect-error a type that the channel cannot carry
  compiled(() => client.subscribe('backtest.b', (event) => event.type === 'trade.executed'));
  // @ts-expect-error a channel that cannot carry the type
  compiled(() => client.publish('forge.job.j', 'backtest.progress', { backtest_id: 'b', progress: 1 }));
  compiled(() =>
    client.publish(
      'backtest.b',
      // @ts-expect-error a type that does not exist: the mistake is found here, and not in the channel
      'backtest.exploded',
      { backtest_id: 'b' },
    ),
  );
  // @ts-expect-error a field that does not exist
  compiled(() => client.publish('backtest.b', 'backtest.progress', { backtest_id: 'b', progress: 1, percent: 100 }));
  // @ts-expect-error a field that is missing
  compiled(() => client.publish('backtest.b', 'backtest.progress', { backtest_id: 'b' }));
  // @ts-expect-error a field of another type
  compiled(() => client.publish('backtest.b', 'backtest.progress', { backtest_id: 'b', progress: '1' }));
});

test('where a type may be one of several, data and channel must do for each of them', () => {
  const either = 'backtest.started' as 'backtest.started' | 'backtest.progress';
  const elsewhere = 'backtest.started' as 'backtest.started' | 'forge.job.started';
  compiled(() => client.publish('backtest.b', either, { backtest_id: 'b', progress: 1 }));
  // @ts-expect-error what one of them needs
  compiled(() => client.publish('backtest.b', either, { backtest_id: 'b' }));
  // @ts-expect-error a field of another type than one of them has
  compiled(() => client.publish('backtest.b', either, { backtest_id: 'b', progress: '1' }));
  // @ts-expect-error a channel that can carry one of them only
  compiled(() => client.publish('backtest.b', elsewhere, { backtest_id: 'b', job_id: 'j' }));
  compiled(() =>
    client.publish('global', 'backtest.completed', { backtest_id: 'b', metrics: { total_return: 1, max_drawdown: 1, trades: 1 } }),
  );
  // @ts-expect-error what one of them needs
  compiled(() => client.publishBatch([{ channel: 'backtest.b', type: either, data: { backtest_id: 'b' } }]));
  // @ts-expect-error a channel that can carry one of them only
  compiled(() => client.publishBatch([{ channel: 'backtest.b', type: elsewhere, data: { backtest_id: 'b', job_id: 'j' } }]));
  // @ts-expect-error what one of them needs
  compiled(() => publisher.submit({ channel: 'backtest.b', type: either, data: { backtest_id: 'b' } }));
  const drafts: EventDraft[] = [];
  compiled(() => client.publishBatch(drafts));
  compiled(() => publisher.submit(drafts[0] as EventDraft));
});
