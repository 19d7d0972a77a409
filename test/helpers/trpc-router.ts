/** The router of the comparison with tRPC's own WebSocket adapter: procedures of every kind, and of every way to fail. */
import { initTRPC, TRPCError, tracked } from '@trpc/server';
import { observable } from '@trpc/server/observable';
import superjson from 'superjson';
import { z } from 'zod';
import { Batch, Delivery } from '../../src/delivery/batch.ts';
import { eventStream } from '../../src/delivery/event-stream.ts';

interface Context {
  readonly name: string;
  readonly stage: Stage;
}

const t = initTRPC.context<Context>().create({ transformer: superjson, isDev: false });

export const EVENT = {
  channel: 'global',
  type: 'forge.job.started',
  metadata: { timestamp: '2026-01-02T03:04:05.678Z', source: 'förge' },
  data: { kind: '"x"\n' },
};
const stored = { seq: 7, channel: 'global', family: 'global' as const, type: EVENT.type, body: JSON.stringify(EVENT) };

/** Resolves when `signal` aborts. */
const aborted = (signal: AbortSignal | undefined) =>
  new Promise<void>((resolve) => {
    if (signal?.aborted) resolve();
    signal?.addEventListener('abort', () => resolve());
  });

/** An iterator's result. */
const item = { done: false as const, value: 1 };
const end = { done: true as const, value: undefined };
/** What a procedure returns for an iterator that is not a generator's. */
const iterable = (iterator: () => AsyncIterator<unknown, void> & Partial<AsyncDisposable>): AsyncIterable<unknown, void> => ({
  [Symbol.asyncIterator]: iterator,
});
const abortError = () => Object.assign(new Error('given up'), { name: 'AbortError' });
const broken = () => new TRPCError({ code: 'CONFLICT', message: 'broken' });

/** What procedures wait for, and what they note of themselves. */
export interface Stage {
  /** Lets the procedures, and the contexts that are to be refused late, go on. */
  readonly go: PromiseWithResolvers<void>;
  readonly notes: string[];
  /** Items that were given out. */
  readonly items: WeakRef<object>[];
}

/** How many calls of `big` have run. */
export const big = { calls: 0 };

export const testRouter = t.router({
  big: t.procedure.input(z.string()).query(() => {
    big.calls += 1;
    return 'x'.repeat(100_000);
  }),
  hello: t.procedure.input(z.string()).query(({ input, ctx }) => ({ text: `${ctx.name} ${input}`, at: new Date(0) })),
  add: t.procedure.input(z.object({ a: z.number(), b: z.number() })).mutation(({ input }) => input.a + input.b),
  nothing: t.procedure.query(() => undefined),
  fail: t.procedure.query(() => {
    throw new TRPCError({ code: 'FORBIDDEN', message: 'no' });
  }),
  crash: t.procedure.mutation(() => {
    throw new Error('oops');
  }),
  iterableQuery: t.procedure.query(async function* () {
    yield 1;
  }),
  unserialisable: t.procedure.query(() => ({
    toJSON: () => BigInt(1) as unknown,
    get value(): string {
      throw new Error('unreadable');
    },
  })),
  three: t.procedure.subscription(async function* () {
    yield 'a';
    yield { at: new Date(1) };
    yield tracked('id-3', 'c');
  }),
  failing: t.procedure.subscription(async function* () {
    yield 1;
    throw new TRPCError({ code: 'CONFLICT', message: 'broken' });
  }),
  failingAtOnce: t.procedure.subscription(
    (): AsyncIterable<number> => ({
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('never began')) }),
    }),
  ),
  failingUnreadable: t.procedure.subscription(async function* () {
    yield 1;
    yield {
      get value(): string {
        throw new Error('unreadable');
      },
    };
  }),
  failingToBegin: t.procedure.subscription(() =>
    iterable(() => {
      throw broken();
    }),
  ),
  failingToBeginLate: t.procedure.subscription(async ({ signal }) => {
    await aborted(signal);
    return iterable(() => {
      throw broken();
    });
  }),
  failingAfterStop: t.procedure.subscription(async function* ({ signal }) {
    yield 1;
    await aborted(signal);
    throw broken();
  }),
  givingUpAfterStop: t.procedure.subscription(async function* ({ signal }) {
    yield 1;
    await aborted(signal);
    throw abortError();
  }),
  yieldingAfterStop: t.procedure.subscription(async function* ({ signal }) {
    yield 1;
    await aborted(signal);
    yield 2;
  }),
  failingInCleanup: t.procedure.subscription(async function* ({ signal }) {
    try {
      yield 1;
      await aborted(signal);
    } finally {
      // biome-ignore lint/correctness/noUnsafeFinally: this is what is tested
      throw broken();
    }
  }),
  failingInReturn: t.procedure.subscription(() => {
    const results = [item, end];
    return iterable(() => ({ next: async () => results.shift() ?? end, return: () => Promise.reject(broken()) }));
  }),
  failingInReturnAfterStop: t.procedure.subscription(({ signal }) => {
    let isFirst = true;
    const next = async () => {
      if (!isFirst) await aborted(signal);
      isFirst = false;
      return item;
    };
    return iterable(() => ({ next, return: () => Promise.reject(broken()) }));
  }),
  failingTwice: t.procedure.subscription(() =>
    iterable(() => ({ next: () => Promise.reject(new Error('first')), return: () => Promise.reject(broken()) })),
  ),
  waitingInReturn: t.procedure.subscription(({ signal }) =>
    iterable(() => ({ next: () => Promise.reject(broken()), return: () => aborted(signal).then(() => end) })),
  ),
  disposable: t.procedure.subscription(() =>
    iterable(() => ({ next: async () => end, return: async () => end, [Symbol.asyncDispose]: () => Promise.reject(broken()) })),
  ),
  failingSetupAfterStop: t.procedure.input(z.enum(['gives up', 'forbids', 'breaks'])).subscription(async ({ input, signal }) => {
    await aborted(signal);
    if (input === 'gives up') throw abortError();
    if (input === 'forbids') throw new TRPCError({ code: 'FORBIDDEN', message: 'no', cause: abortError() });
    throw broken();
  }),
  waiting: t.procedure.input(z.enum(['succeeds', 'fails'])).query(async ({ input, ctx: { stage } }) => {
    await stage.go.promise;
    stage.notes.push(input);
    if (input === 'fails') throw broken();
    return 'late';
  }),
  waitingSubscription: t.procedure.input(z.enum(['succeeds', 'fails'])).subscription(async ({ input, ctx: { stage } }) => {
    await stage.go.promise;
    stage.notes.push(input);
    if (input === 'fails') throw broken();
    const noting = (what: string) => async () => {
      stage.notes.push(what);
      return end;
    };
    return iterable(() => ({ next: noting('read'), return: noting('returned') }));
  }),
  waitingObservable: t.procedure.subscription(async ({ ctx: { stage } }) => {
    await stage.go.promise;
    stage.notes.push('succeeds');
    return observable<number>(() => void stage.notes.push('observed'));
  }),
  /** Gives one item, to which it keeps no reference, and then none. */
  watched: t.procedure.subscription(({ ctx: { stage }, signal }) =>
    iterable(() => ({
      next: async () => {
        if (stage.items.length > 0) return aborted(signal).then(() => end);
        const value = { at: new Date(0) };
        stage.items.push(new WeakRef(value));
        return { done: false, value };
      },
    })),
  ),
  forever: t.procedure.subscription(async function* ({ signal }) {
    yield 'first';
    await aborted(signal);
  }),
  echo: t.procedure.input(z.any()).subscription(async function* ({ input }) {
    yield JSON.stringify(input);
  }),
  observed: t.procedure.subscription(() =>
    observable<number>((emit) => {
      emit.next(1);
      emit.next(2);
      emit.complete();
    }),
  ),
  observedFailing: t.procedure.subscription(() =>
    observable<number>((emit) => {
      emit.next(1);
      emit.error(new TRPCError({ code: 'CONFLICT', message: 'broken' }));
    }),
  ),
  notIterable: t.procedure.subscription(() => 5 as unknown as AsyncIterable<number>),
  event: t.procedure.subscription(() => eventStream(async (sink) => sink.deliver(new Batch([new Delivery('epoch', stored)])), undefined)),
});

/** Makes contexts; refuses at once, or when the stage lets it go on. */
export const contextOn = (stage: Stage) => (connectionParams: Record<string, string | undefined> | null) => {
  const { name = 'nobody', refuse } = connectionParams ?? {};
  const refusal = new TRPCError({ code: 'UNAUTHORIZED', message: 'not you' });
  if (refuse === 'late') return stage.go.promise.then(() => Promise.reject(refusal));
  if (refuse !== undefined) throw refusal;
  return { name, stage };
};
