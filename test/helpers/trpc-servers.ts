/** One router behind tRPC's own WebSocket adapter and behind Courier's endpoint, to compare what their clients see. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { initTRPC, TRPCError, tracked } from '@trpc/server';
import { applyWSSHandler } from '@trpc/server/adapters/ws';
import { observable } from '@trpc/server/observable';
import superjson from 'superjson';
import { WebSocketServer } from 'ws';
import { z } from 'zod';
import { principalOf } from '../../src/auth/principal.ts';
import { Revocations } from '../../src/auth/revocations.ts';
import { revocationFile } from '../../src/auth/revocations-file.ts';
import { Connections } from '../../src/connections/connections.ts';
import { TIMINGS, type Timings } from '../../src/connections/timings.ts';
import { Batch } from '../../src/delivery/batch.ts';
import { Delivery } from '../../src/delivery/delivery.ts';
import { eventStream } from '../../src/delivery/event-stream.ts';
import { memoryConnectionCounts } from '../../src/limits/connections.ts';
import { parseLimits } from '../../src/limits/limits.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { noMeter } from '../../src/observe/meter.ts';
import { encodeTracked } from '../../src/transport/tracked-encoding.ts';
import { TrpcSocket } from '../../src/transport/trpc-socket.ts';
import type { TrpcWebSocketOptions } from '../../src/transport/trpc-websocket.ts';

const t = initTRPC.context<{ name: string }>().create({ transformer: superjson, isDev: false });

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
  event: t.procedure.subscription(() =>
    eventStream(
      async function* () {
        const delivery = new Delivery('epoch', stored);
        yield tracked(delivery.id, {
          id: delivery.id,
          ...EVENT,
          metadata: { ...EVENT.metadata, timestamp: new Date(EVENT.metadata.timestamp) },
        });
      },
      async (sink) => sink.deliver(new Batch([new Delivery('epoch', stored)])),
    ),
  ),
});

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  broadcastReconnect(): void;
}

const createContext = ({ connectionParams }: { connectionParams: Record<string, string | undefined> | null }) => {
  if (connectionParams?.['refuse'] !== undefined) throw new TRPCError({ code: 'UNAUTHORIZED', message: 'not you' });
  return { name: connectionParams?.['name'] ?? 'nobody' };
};

export async function stockServer(): Promise<TestServer> {
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(wss, 'listening');
  const handler = applyWSSHandler({
    wss,
    router: testRouter,
    createContext: ({ info }) => createContext(info),
    onError: () => undefined,
  });
  return {
    url: `ws://127.0.0.1:${(wss.address() as AddressInfo).port}`,
    broadcastReconnect: () => handler.broadcastReconnectNotification(),
    [Symbol.asyncDispose]: async () => {
      for (const client of wss.clients) client.terminate();
      wss.close();
      await once(wss, 'close');
    },
  };
}

/** What may be chosen for a server of Courier's endpoint. */
export interface CourierServerOptions {
  readonly maxSubscriptions?: number;
  readonly timings?: Partial<Timings>;
}

export async function courierServer({ maxSubscriptions = 100, timings = {} }: CourierServerOptions = {}): Promise<TestServer> {
  const server = createServer();
  const wss = new WebSocketServer({ noServer: true, autoPong: false });
  const connections = await openConnections({ ...TIMINGS, ...timings });
  const options: TrpcWebSocketOptions<typeof testRouter> = {
    router: testRouter,
    createContext: async ({ connectionParams, connection }) => {
      const context = createContext({ connectionParams });
      await connection.open({ token: context.name });
      return context;
    },
    contextOfCall: (ctx) => ctx,
    onError: () => undefined,
    onSocketError: () => undefined,
    meter: noMeter,
    encodeTracked,
    maxSubscriptions,
    stallMs: TIMINGS.stallMs,
  };
  server.on('upgrade', (req: IncomingMessage, socket: Socket, head) => {
    const announced = req.url?.includes('connectionParams=1') === true;
    wss.handleUpgrade(req, socket, head, (ws) => {
      new TrpcSocket(options, connections.arrive(req, 'trpc'), { ws, socket }, { req, announced });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    broadcastReconnect: () => void connections.drain(30_000),
    [Symbol.asyncDispose]: async () => {
      await connections.drain(0);
      server.close();
      await once(server, 'close');
    },
  };
}

/** Lets in whoever has a token, which is taken for a name. */
async function openConnections(timings: Timings): Promise<Connections> {
  return new Connections({
    verify: async (name) => principalOf(name, 'admin', { subscribe: [], publish: [] }, Date.now() + 3_600_000),
    revocations: await Revocations.open(revocationFile(undefined), 3_600_000),
    limiter: { charge: () => undefined, [Symbol.dispose]: () => undefined },
    counts: memoryConnectionCounts(),
    limits: parseLimits('{"admin":{"connections":null,"publishPerSecond":null,"subscribePerSecond":null,"queriesPerSecond":null}}'),
    meter: noMeter,
    logger: createLogger({ logLevel: 'silent', logFormat: 'json' }),
    allowedOrigins: [],
    addressOf: () => 'test',
    yieldElsewhere: () => Promise.resolve(false),
    timings,
  });
}
