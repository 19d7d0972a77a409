/** The router of the comparison behind tRPC's own WebSocket adapter and behind Courier's endpoint. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TRPCError } from '@trpc/server';
import { applyWSSHandler } from '@trpc/server/adapters/ws';
import { WebSocketServer } from 'ws';
import { noMeter } from '../../src/observe/meter.ts';
import { encodeTracked } from '../../src/transport/tracked-encoding.ts';
import { type TrpcWebSocketOptions, trpcWebSocketHandler } from '../../src/transport/trpc-websocket.ts';
import { contextOn, type Stage, testRouter } from './trpc-router.ts';

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly stage: Stage;
  /** The errors that were reported. */
  readonly reports: string[];
  broadcastReconnect(): void;
  /** Resolves when the connections that there are have closed. */
  idle(): Promise<unknown>;
}

/** What servers of both kinds have. */
function backstage(wss: WebSocketServer) {
  const stage: Stage = { go: Promise.withResolvers(), notes: [], items: [] };
  const reports: string[] = [];
  return {
    stage,
    reports,
    onError: ({ type, path, error }: { type: string; path?: string | undefined; error: TRPCError }) => {
      reports.push(`${type} ${path}: ${error.code} ${error.message}`);
    },
    idle: () => Promise.all([...wss.clients].map((client) => once(client, 'close'))),
  };
}

export async function stockServer(): Promise<TestServer> {
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(wss, 'listening');
  const { stage, reports, onError, idle } = backstage(wss);
  const createContext = contextOn(stage);
  const handler = applyWSSHandler({
    wss,
    router: testRouter,
    createContext: ({ info }) => createContext(info.connectionParams),
    onError,
  });
  return {
    stage,
    reports,
    idle,
    url: `ws://127.0.0.1:${(wss.address() as AddressInfo).port}`,
    broadcastReconnect: () => handler.broadcastReconnectNotification(),
    [Symbol.asyncDispose]: async () => {
      for (const client of wss.clients) client.terminate();
      wss.close();
      await once(wss, 'close');
    },
  };
}

export async function courierServer(overrides: Partial<TrpcWebSocketOptions<typeof testRouter>> = {}): Promise<TestServer> {
  const server = createServer();
  const wss = new WebSocketServer({ noServer: true });
  const { stage, reports, onError, idle } = backstage(wss);
  const createContext = contextOn(stage);
  const handler = trpcWebSocketHandler({
    router: testRouter,
    createContext: ({ connectionParams }) => createContext(connectionParams),
    contextOfCall: (ctx) => ctx,
    onError,
    onSocketError: () => undefined,
    meter: noMeter,
    encodeTracked,
    maxSubscriptions: 100,
    maxBatchCalls: 100,
    authenticationTimeoutMs: 5000,
    pingMs: 30_000,
    pongWaitMs: 5000,
    ...overrides,
  });
  server.on('upgrade', (req: IncomingMessage, socket, head) => {
    wss.handleUpgrade(req, socket, head, (ws) => handler.handle(ws, socket, req));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    stage,
    reports,
    idle,
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    broadcastReconnect: () => {
      for (const leave of handler.leave(1001, 'shutting down', 30_000)) void leave();
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of wss.clients) client.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}
