/** The router of the comparison behind tRPC's own WebSocket adapter and behind Courier's endpoint. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TRPCError } from '@trpc/server';
import { applyWSSHandler } from '@trpc/server/adapters/ws';
import { WebSocketServer } from 'ws';
import { principalOf } from '../../src/auth/principal.ts';
import { Revocations } from '../../src/auth/revocations.ts';
import { revocationFile } from '../../src/auth/revocations-file.ts';
import { ConnectionLog } from '../../src/connections/connection-log.ts';
import { Connections } from '../../src/connections/connections.ts';
import { TIMINGS, type Timings } from '../../src/connections/timings.ts';
import { parseLimits } from '../../src/limits/limits.ts';
import { memoryConnectionCounts, memoryLimiter } from '../../src/limits/memory.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { noMeter } from '../../src/observe/meter.ts';
import type { TrpcEndpoint } from '../../src/transport/trpc-endpoint.ts';
import { TrpcWire } from '../../src/transport/trpc-wire.ts';
import { contract } from './lumiere.ts';
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

/** What may be chosen for a server of Courier's endpoint. */
export interface CourierServerOptions {
  readonly maxSubscriptions?: number;
  readonly timings?: Partial<Timings>;
}

export async function courierServer({ maxSubscriptions = 100, timings = {} }: CourierServerOptions = {}): Promise<TestServer> {
  const server = createServer();
  const wss = new WebSocketServer({ noServer: true, autoPong: false });
  const { stage, reports, onError, idle } = backstage(wss);
  const contextOf = contextOn(stage);
  const connections = await openConnections({ ...TIMINGS, ...timings });
  const endpoint: TrpcEndpoint = {
    router: testRouter,
    textOf: (answer) => JSON.stringify(testRouter._def._config.transformer.output.serialize(answer)),
    open: async (connection, _req, params) => {
      const context = await contextOf(params);
      await connection.open({ token: context.name });
      return () => ({ ...context, requestId: 'r', connectionId: connection.id });
    },
    onError,
    onSocketError: () => undefined,
    meter: noMeter,
    maxSubscriptions,
    stallMs: TIMINGS.stallMs,
  };
  server.on('upgrade', (req: IncomingMessage, socket: Socket, head) => {
    const announced = req.url?.includes('connectionParams=1') === true;
    wss.handleUpgrade(req, socket, head, (ws) => {
      new TrpcWire(endpoint, connections.arrive(req, 'trpc', 'r'), { ws, socket }, { req, announced });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    stage,
    reports,
    idle,
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
  const logger = createLogger({ logLevel: 'silent', logFormat: 'json' });
  return new Connections({
    verify: async (name) => principalOf(contract, name, 'admin', { subscribe: [], publish: [] }, Date.now() + 3_600_000),
    known: () => undefined,
    revocations: await Revocations.open(revocationFile(undefined), 3_600_000),
    limiter: memoryLimiter(),
    channelRates: undefined,
    counts: memoryConnectionCounts(),
    room: memoryConnectionCounts(),
    limits: parseLimits('{"admin":{"connections":null,"publishPerSecond":null,"subscribePerSecond":null,"queriesPerSecond":null}}'),
    meter: noMeter,
    logger,
    log: new ConnectionLog(logger),
    allowedOrigins: [],
    addressOf: () => 'test',
    elsewhere: { oldestStreams: async () => [], yield: async () => false },
    timings,
  });
}
