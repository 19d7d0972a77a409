/** The listener: one port for HTTP and WebSocket, each request and upgrade handed to what serves its path. */

import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Transport } from '../contract/admin.ts';
import { meaningOf } from '../contract/codes.ts';
import { CourierError } from '../errors.ts';
import type { Failures } from '../observe/failures.ts';
import type { Logger } from '../observe/logger.ts';
import { CONTRACT_HASH } from '../version.ts';
import { answerPreflight, letPagesRead, markData } from './browser-headers.ts';
import { type Dashboard, isOfDashboard, openDashboard } from './dashboard.ts';
import { Doorway } from './doorway.ts';
import { drain } from './drain.ts';
import { requestIdOf, sendProblem } from './http-exchange.ts';
import { handlePlainHttp, type PlainHttpDeps } from './plain-http.ts';
import { PlainWebSockets } from './plain-websocket.ts';
import { requestTarget } from './request-target.ts';
import { trpcEndpoint } from './trpc-endpoint.ts';
import { handleTrpcHttp } from './trpc-http.ts';
import type { TrpcWebSocketHandler } from './trpc-websocket.ts';

export interface ServerDeps extends PlainHttpDeps {
  readonly logger: Logger;
  readonly failures: Failures;
  /** Origins of browsers that may connect, beyond the gateway's own host. */
  readonly allowedOrigins: readonly string[];
  /** What every path begins with: empty, or such as `/courier`. */
  readonly basePath: string;
  /** Where the dashboard's build lies, when not in its place. */
  readonly dashboardFolder?: string | undefined;
}

/** Bytes of one WebSocket message from a client, at most. */
const MAX_MESSAGE_BYTES = 256 * 1024;
const MAX_FRAGMENTS = 1024;
const MAX_BUFFERED_CHUNKS = 8192;
/**
 * How long a client may take to send a request, in ms, and how often that is looked at. Connections are kept longer than
 * proxies keep them (nginx: 60 s): one that the gateway closes may have a proxy's next request on its way.
 */
const TIMEOUTS = { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 2000, keepAliveTimeout: 75_000 };
/** Part of the drain in which clients are asked to leave; the rest is for those that do not hurry. */
const LEAVING_SHARE = 0.8;
/** How long a tRPC client may take to move elsewhere, in ms. */
const MOVE_GRACE_MS = 1000;
/** Characters of a request's path in the log, at most. */
const MAX_LOGGED_PATH = 300;
const SHUTTING_DOWN = 'shutting down';
/** How long sockets may take to finish their closing handshake, in ms. */
const CLOSE_GRACE_MS = 2000;

export interface Listener {
  /** With the base path. */
  readonly url: string;
  readonly port: number;
  /** WebSocket connections that are open. */
  readonly connections: () => { readonly trpc: number; readonly plain: number };
  /**
   * Refuses new connections and requests (health apart) with a retryable error, lets clients go one by one, closes
   * what remains with 1001, and stops listening; all within `limitMs`.
   */
  close(limitMs: number): Promise<void>;
}

/** Listens. @throws when the address is taken or not this machine's. */
export async function listen(deps: ServerDeps, address: { host: string; port: number }): Promise<Listener> {
  const connection = new ServerConnections(deps);
  await new Promise<void>((resolve, reject) => {
    connection.server.once('error', reject);
    connection.server.listen(address.port, address.host, () => {
      connection.server.off('error', reject);
      resolve();
    });
  });
  const { port, address: host, family } = connection.server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${host}]` : host}:${port}${deps.basePath}`,
    port,
    connections: () => connection.connections,
    close: (limitMs) => connection.close(limitMs),
  };
}

interface UpgradeHandler {
  readonly transport: Transport;
  readonly serve: (ws: WebSocket, socket: Duplex) => void;
}

class ServerConnections {
  readonly server: Server;
  readonly sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    maxFragments: MAX_FRAGMENTS,
    maxBufferedChunks: MAX_BUFFERED_CHUNKS,
  });
  readonly #deps: ServerDeps;
  readonly #doorway: Doorway;
  readonly #trpc: TrpcWebSocketHandler;
  readonly #plain: PlainWebSockets;
  readonly #dashboard: Dashboard;
  /** Requests that are being answered; streams of events among them. */
  readonly #responses = new Set<ServerResponse>();
  #refusing = false;

  constructor(deps: ServerDeps) {
    this.#deps = deps;
    const { unauthenticatedPerAddress } = deps.access.limits.gateway;
    const { allowedOrigins, addressOf } = deps;
    this.#doorway = new Doorway({ allowedOrigins, addressOf, unauthenticatedPerAddress });
    this.#trpc = trpcEndpoint(deps, this.#doorway);
    this.#plain = new PlainWebSockets(deps, this.#doorway);
    this.#dashboard = openDashboard(deps.dashboardFolder);
    this.server = createServer(TIMEOUTS, (req, res) => {
      void this.#answer(req, res);
    });
    this.sockets.on('headers', (headers) => headers.push(`X-Courier-Contract: ${CONTRACT_HASH}`));
    this.server.on('upgrade', (req, socket, head) => this.#upgrade(req, socket, head));
  }

  get connections(): { readonly trpc: number; readonly plain: number } {
    return { trpc: this.#trpc.connections, plain: this.#plain.connections };
  }

  async close(limitMs: number): Promise<void> {
    this.#refusing = true;
    const windowMs = limitMs * LEAVING_SHARE;
    const cutOff = setTimeout(() => this.#cutOff(), limitMs);
    const streams = [...this.#responses].filter((res) => res.getHeader('content-type') === 'text/event-stream');
    await drain(
      [
        ...this.#trpc.leave(1001, SHUTTING_DOWN, Math.min(MOVE_GRACE_MS, limitMs - windowMs)),
        ...this.#plain.leave(1001, SHUTTING_DOWN),
        ...streams.map((res) => async () => endStream(res)),
      ],
      windowMs,
    );
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    const grace = setTimeout(() => this.#cutOff(), CLOSE_GRACE_MS);
    await closed;
    clearTimeout(cutOff);
    clearTimeout(grace);
  }

  #cutOff(): void {
    for (const ws of this.sockets.clients) ws.terminate();
    this.server.closeAllConnections();
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const requestId = requestIdOf(req);
    this.#responses.add(res);
    res.on('close', () => {
      this.#responses.delete(res);
      // Kept-alive connections become idle only now, and would hold the end up.
      if (this.#refusing) setImmediate(() => this.server.closeIdleConnections());
    });
    try {
      markData(res);
      res.setHeader('x-courier-contract', CONTRACT_HASH);
      const target = requestTarget(req.url ?? '', this.#deps.basePath);
      const forDashboard = isOfDashboard(target);
      if (!forDashboard && this.#answerBrowser(req, res)) return;
      const observing = /^\/(health|livez|readyz|metrics)$/.test(target.path);
      if (this.#refusing && !observing)
        throw new CourierError('SERVICE_UNAVAILABLE', 'the gateway is shutting down', { retryAfterMs: 1000 });
      if (forDashboard) {
        await this.#dashboard({ req, res, target, requestId });
        return;
      }
      if (target.path.startsWith('/trpc/')) {
        await handleTrpcHttp(this.#deps, { req, res, path: target.path.slice('/trpc/'.length), requestId });
        return;
      }
      const gone = new AbortController();
      res.on('close', () => gone.abort());
      await handlePlainHttp(this.#deps, { req, res, target, requestId, signal: gone.signal });
    } catch (error) {
      const context = { request_id: requestId, method: req.method, path: req.url?.split('?', 1)[0]?.slice(0, MAX_LOGGED_PATH) };
      sendProblem(res, this.#deps.failures.answer('http', error, context), requestId);
    }
  }

  /** Lets pages of allowed origins read answers (CORS). True when the request was a browser's question about that. */
  #answerBrowser(req: IncomingMessage, res: ServerResponse): boolean {
    const { origin } = req.headers;
    const asks = req.method === 'OPTIONS' && req.headers['access-control-request-method'] !== undefined;
    if (origin === undefined) return false;
    res.setHeader('vary', 'origin');
    if (!this.#doorway.mayCome(req)) {
      if (asks) throw new CourierError('FORBIDDEN', 'pages of this origin may not use the gateway');
      return false;
    }
    letPagesRead(res, origin);
    if (asks) answerPreflight(res);
    return asks;
  }

  #upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    const onEarlyError = () => socket.destroy();
    socket.on('error', onEarlyError);
    const handler = this.#handlerFor(req);
    if (typeof handler === 'number') {
      socket.end(
        `HTTP/1.1 ${handler} ${STATUS_CODES[handler]}\r\nConnection: close\r\nContent-Length: 0\r\n${handler === 503 || handler === 429 ? 'Retry-After: 1\r\n' : ''}\r\n`,
      );
      return;
    }
    this.sockets.handleUpgrade(req, socket, head, (ws) => {
      socket.off('error', onEarlyError);
      this.#doorway.enter(req, ws);
      this.#count(ws, handler.transport);
      const most = this.#deps.access.limits.gateway.connections;
      if (most === null || this.sockets.clients.size <= most) handler.serve(ws, socket);
      else {
        ws.on('error', () => undefined);
        ws.close(1013, 'the gateway is full');
      }
    });
  }

  #count(ws: WebSocket, transport: Transport): void {
    const { meter } = this.#deps.feed;
    meter.connectionOpened(transport);
    ws.once('close', (code) => meter.connectionClosed(transport, code));
  }

  /** What serves an upgrade, or the status that refuses it. */
  #handlerFor(req: IncomingMessage): UpgradeHandler | number {
    if (this.#refusing) return 503;
    if (!this.#doorway.mayCome(req)) return 403;
    if (!this.#doorway.hasRoom(req)) return 429;
    try {
      const target = requestTarget(req.url ?? '', this.#deps.basePath);
      if (target.path === '/trpc') return { transport: 'trpc', serve: (ws, socket) => this.#trpc.handle(ws, socket, req) };
      if (target.path.startsWith('/ws/')) {
        return { transport: 'plain', serve: (ws, socket) => void this.#plain.handle(ws, socket, req, target) };
      }
      return 404;
    } catch (error) {
      if (error instanceof CourierError) return meaningOf(error.code).status;
      throw error;
    }
  }
}

/** Ends a stream of events and the connection that its headers asked to keep. */
function endStream(res: ServerResponse): void {
  const { socket } = res;
  res.end(() => socket?.end());
}
