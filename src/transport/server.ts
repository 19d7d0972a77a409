/** The listener: one port for HTTP and WebSocket, each request and upgrade handed to what serves its path. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { AnyTRPCRouter } from '@trpc/server';
import type { Connections } from '../connections/connections.ts';
import { pathOf } from '../connections/request-path.ts';
import { DRAINING, FULL } from '../connections/wire.ts';
import { CourierError } from '../errors.ts';
import type { Failures } from '../observe/failures.ts';
import type { Refused } from '../observe/refusals.ts';
import { isSubscription } from '../router/index.ts';
import { contractHash } from '../version.ts';
import { answerPreflight, letPagesRead, markData } from './browser-headers.ts';
import { type Dashboard, isOfDashboard, openDashboard } from './dashboard.ts';
import { isWebSocketUpgrade } from './handshake.ts';
import { refuseSocket, requestIdOf, requireHost, sendProblem } from './http-exchange.ts';
import { type Exchange, HttpRequests } from './http-requests.ts';
import { answerParserError } from './parser-errors.ts';
import { handlePlainHttp, type PlainHttpDeps } from './plain-http.ts';
import { SSE_PREFIX, servePlainSse } from './plain-sse.ts';
import { decodeSegment, type RequestTarget, requestTarget } from './request-target.ts';
import type { SocketRoom } from './socket-room.ts';
import { handleTrpcHttp, sendTrpcError } from './trpc-http.ts';
import { serveTrpcSse } from './trpc-sse.ts';
import { Upgrades } from './upgrades.ts';

export interface ServerDeps extends PlainHttpDeps {
  readonly router: AnyTRPCRouter;
  readonly connections: Connections;
  readonly failures: Failures;
  /** What every path begins with: empty, or such as `/courier`. */
  readonly basePath: string;
  readonly room: SocketRoom;
  /** Where the dashboard's build lies, when not in its place. */
  readonly dashboardFolder?: string | undefined;
}

/**
 * How long the gateway keeps a connection without a request, in ms: longer than proxies do (nginx: 60 s), as one that the gateway
 * closes may have a proxy's next request on its way.
 */
const KEEP_ALIVE_MS = 75_000;
/** Looks at what is late, within the time for a head. */
const LATE_LOOKS = 5;
/** Connections that may wait to be taken, where the system lets so many: as all clients come back at once after a restart. */
const BACKLOG = 4096;
const TRPC_PREFIX = '/trpc/';
const NO_TUNNEL = new CourierError('METHOD_NOT_SUPPORTED', 'this is no proxy: use GET or POST, with a path');

export interface Listener {
  /** With the base path. */
  readonly url: string;
  readonly port: number;
  /** Takes no new connections: others who listen on the port do. */
  leavePort(): void;
  /**
   * Drains: refuses new connections and requests (health apart) with a retryable error, asks clients one by one to go, closes
   * what remains with 1001, and stops listening; all within `limitMs`.
   */
  close(limitMs: number): Promise<void>;
}

export interface Address {
  readonly host: string;
  readonly port: number;
  /** Other processes listen there too, and the kernel shares connections out. */
  readonly reusePort?: boolean;
}

/** Listens. @throws when the address is taken or not this machine's. */
export async function listen(deps: ServerDeps, address: Address): Promise<Listener> {
  const http = new HttpServer(deps);
  await new Promise<void>((resolve, reject) => {
    http.server.once('error', reject);
    http.server.listen({ ...address, backlog: BACKLOG }, () => {
      http.server.off('error', reject);
      http.server.on('error', (error) => deps.failures.report('request', 'a connection could not be accepted', error));
      resolve();
    });
  });
  const { port, address: host, family } = http.server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${host}]` : host}:${port}${deps.basePath}`,
    port,
    leavePort: () => http.leavePort(),
    close: (limitMs) => http.close(limitMs),
  };
}

class HttpServer {
  readonly server: Server;
  readonly #deps: ServerDeps;
  /** Its hash. */
  readonly #contract: string;
  readonly #requests: HttpRequests;
  readonly #dashboard: Dashboard;
  #isDraining = false;

  constructor(deps: ServerDeps) {
    this.#deps = deps;
    this.#contract = contractHash(deps.pipeline.contract);
    const { stallMs, headMs, requestMs } = deps.timings;
    const requests = new HttpRequests(deps.connections, deps.failures, stallMs);
    const upgrades = new Upgrades({ ...deps, stallMs, requests, refusalOf: (socket) => this.#refusalOf(socket) });
    this.#requests = requests;
    this.#dashboard = openDashboard(deps.dashboardFolder);
    const onRequest = (req: IncomingMessage, res: ServerResponse) => void this.#answer({ req, res, requestId: requestIdOf(req) });
    this.server = createServer(
      {
        headersTimeout: headMs,
        requestTimeout: requestMs,
        connectionsCheckingInterval: headMs / LATE_LOOKS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        shouldUpgradeCallback: isWebSocketUpgrade,
        // The gateway itself refuses a request without a host, with an answer that says so.
        requireHostHeader: false,
      },
      onRequest,
    );
    // For clients that do not read their answers. The gateway's own part of a request takes less than that.
    this.server.timeout = stallMs;
    this.server.on('timeout', (socket) => {
      // A client that does not send its request is told so.
      if (!requests.isReading(socket)) socket.destroy();
    });
    // An expectation that the gateway does not know is passed over (RFC 9110, section 10.1.1), and not refused without a word.
    this.server.on('checkExpectation', onRequest);
    this.server.on('connection', (socket) => deps.room.enter(socket));
    const told = { failures: deps.failures, contract: this.#contract, requests };
    this.server.on('clientError', (error, socket) => answerParserError(told, error, socket as Socket));
    this.server.on('connect', (req, socket) => this.#refuseTunnel(req, socket as Socket));
    this.server.on('upgrade', (req, socket, head) => upgrades.take(req, socket as Socket, head));
  }

  leavePort(): void {
    this.server.close();
  }

  async close(limitMs: number): Promise<void> {
    this.#isDraining = true;
    await this.#deps.connections.drain(limitMs);
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    // What is left waits for a request, or sends one that would be refused.
    this.server.closeAllConnections();
    await closed;
  }

  async #answer(exchange: Exchange): Promise<void> {
    const { req, res, requestId } = exchange;
    if (!this.#requests.enter(exchange)) return;
    try {
      markData(res);
      res.setHeader('x-courier-contract', this.#contract);
      res.setHeader('x-request-id', requestId);
      requireHost(req);
      const target = requestTarget(req.url ?? '', this.#deps.basePath);
      const forDashboard = isOfDashboard(target);
      if (!forDashboard && this.#answerBrowser(req, res)) return;
      const refusal = this.#refusalOf(req.socket);
      if (refusal !== undefined) res.setHeader('connection', 'close');
      if (refusal !== undefined && isStream(this.#deps.router, req, target)) {
        // An EventSource takes an answer that is no stream for the end, and comes back after none.
        this.#tell('http', refusal, exchange);
        res.destroy();
        return;
      }
      if (refusal !== undefined && !/^\/(health|livez|readyz|metrics)$/.test(target.path)) throw refusal;
      if (forDashboard) {
        this.#requests.request(exchange);
        await this.#dashboard({ ...exchange, target });
      } else await this.#serve(exchange, target);
    } catch (error) {
      sendProblem(req, res, this.#tell('http', error, exchange), requestId);
    }
  }

  /** Node.js takes the connection of a CONNECT out of its hands. */
  #refuseTunnel(req: IncomingMessage, socket: Socket): void {
    socket.on('error', () => socket.destroy());
    const requestId = requestIdOf(req);
    const refused = { address: this.#deps.connections.addressOf(req) };
    const refusal = this.#deps.failures.answer('http', NO_TUNNEL, { request_id: requestId, method: req.method }, refused);
    this.#requests.afterAnswers(socket, () => {
      refuseSocket(socket, refusal, { requestId, contract: this.#contract, headers: { allow: 'GET, POST' } });
    });
  }

  /** Why nothing that comes over the socket is taken, but health checks; undefined where it is. */
  #refusalOf(socket: Socket): CourierError | undefined {
    if (this.#isDraining) return DRAINING.error;
    return this.#deps.room.has(socket) ? undefined : FULL.error;
  }

  async #serve(exchange: Exchange, target: RequestTarget): Promise<void> {
    const path = target.path.startsWith(TRPC_PREFIX) ? decodeSegment(target.path.slice(TRPC_PREFIX.length)) : undefined;
    const { router, pipeline, timings } = this.#deps;
    if (target.path.startsWith(SSE_PREFIX)) {
      await this.#requests.stream(exchange, (connection) => servePlainSse(pipeline, { ...exchange, target, connection }, timings.stallMs));
    } else if (path !== undefined && exchange.req.method === 'GET' && isSubscription(router, path)) {
      await this.#requests
        .stream(exchange, (connection) => serveTrpcSse(this.#deps, { ...exchange, target, path, connection }, timings.stallMs))
        .catch((error: unknown) => sendTrpcError(router, exchange, this.#tell('trpc', error, exchange)));
    } else {
      const connection = this.#requests.request(exchange);
      if (path === undefined) await handlePlainHttp(this.#deps, { ...exchange, target, connection });
      else await handleTrpcHttp(this.#deps, { ...exchange, target, path, connection });
    }
  }

  /** Lets pages of allowed origins read answers (CORS). Returns whether it has answered a browser that asks about that. */
  #answerBrowser(req: IncomingMessage, res: ServerResponse): boolean {
    const { origin } = req.headers;
    const asks = req.method === 'OPTIONS' && req.headers['access-control-request-method'] !== undefined;
    if (origin === undefined) return false;
    res.setHeader('vary', 'origin');
    if (!this.#deps.connections.allowsOrigin(req)) {
      if (asks) throw new CourierError('FORBIDDEN', 'pages of this origin may not use the gateway');
      return false;
    }
    letPagesRead(res, origin);
    if (asks) answerPreflight(res);
    return asks;
  }

  /** Counts and logs what an exchange ended with. Returns what its caller may be told. */
  #tell(surface: 'http' | 'trpc', error: unknown, { req, requestId, connection }: Exchange): CourierError {
    const { failures, connections } = this.#deps;
    const { sub, isToldByItsEnd = false } = connection ?? {};
    // A client may leave in the middle of its request.
    const hasLeft = !req.socket.writable || (!req.complete && req.socket.readableEnded);
    const isTold = isToldByItsEnd || hasLeft;
    const refused: Refused = { address: connections.addressOf(req), sub, origin: req.headers.origin, isToldByItsEnd: isTold };
    return failures.answer(surface, error, { request_id: requestId, method: req.method, path: pathOf(req) }, refused);
  }
}

/** Does the request ask for a stream of server-sent events? */
function isStream(router: AnyTRPCRouter, { method }: IncomingMessage, { path }: RequestTarget): boolean {
  if (path.startsWith(SSE_PREFIX)) return true;
  return method === 'GET' && path.startsWith(TRPC_PREFIX) && isSubscription(router, decodeSegment(path.slice(TRPC_PREFIX.length)));
}
