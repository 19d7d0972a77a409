/** What a tRPC user has today: the stock WebSocket adapter, an async generator over `events.on`, superjson. */
import { EventEmitter, on, once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { initTRPC, tracked } from '@trpc/server';
import { applyWSSHandler } from '@trpc/server/adapters/ws';
import superjson from 'superjson';
import { WebSocketServer } from 'ws';
import { z } from 'zod';
import { contract } from '../../../src/contracts/lumiere/contract.ts';
import { type BenchEvent, serveContender } from '../contender.ts';

await serveContender(async () => {
  const emitter = new EventEmitter();
  emitter.setMaxListeners(0);
  let seq = 0;
  const t = initTRPC.create({ transformer: superjson, isDev: false });
  const router = t.router({
    events: t.router({
      subscribe: t.procedure.input(z.object({ channels: z.array(z.string()).min(1) })).subscription(async function* ({ input, signal }) {
        const iterable = on(emitter, input.channels[0] as string, signal === undefined ? {} : { signal });
        yield tracked('0', 'ready');
        for await (const [event] of iterable as AsyncIterable<[BenchEvent & { id: string }]>) yield tracked(event.id, event);
      }),
      /** Checks like Courier's, and stores nothing. */
      publish: t.procedure.input(contract.draftOf('forge')).mutation(({ input }) => ({
        id: `e-${++seq}`,
        channel: input.channel,
        type: input.type,
        timestamp: new Date(),
        duplicate: false,
      })),
    }),
  });
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await once(wss, 'listening');
  applyWSSHandler({ wss, router });
  return {
    port: (wss.address() as AddressInfo).port,
    publish: (events) => {
      for (const event of events) emitter.emit(event.channel, { id: `e-${++seq}`, ...event });
    },
  };
});
