/**
 * WebSockets, from their upgrade on. The gateway looks at what the request itself says of who speaks before it answers the
 * handshake: a client with a valid token is let in however many others wait to authenticate.
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import type { Connection } from '../connections/connection.ts';
import type { Connections } from '../connections/connections.ts';
import { CLOSING_MS, type Ending } from '../connections/wire.ts';
import type { Transport } from '../contract/admin.ts';
import { meaningOf } from '../contract/codes.ts';
import { CourierError } from '../errors.ts';
import { contractHash } from '../version.ts';
import { credentialsOf, tokenIn } from './caller.ts';
import { pathOf, requestIdOf, requireHost } from './http-exchange.ts';
import { OneWayWire } from './http-requests.ts';
import { type PlainWebSocketDeps, servePlainWebSocket } from './plain-websocket.ts';
import { type RequestTarget, requestTarget } from './request-target.ts';
import { type TrpcEndpoint, trpcEndpoint } from './trpc-endpoint.ts';
import type { TrpcDeps } from './trpc-http.ts';
import { TrpcWire } from './trpc-wire.ts';
import type { Upgraded, WebSocketWireOptions } from './web-socket-wire.ts';

/** Bytes of one WebSocket message from a client, at most: what a thousand publishes that waited take. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
const MAX_FRAGMENTS = 1024;
const MAX_BUFFERED_CHUNKS = 8192;
/** How long a client may take to go once it has closed; the types of `ws` do not know it yet. */
const CLOSING = { closeTimeout: CLOSING_MS };

export interface UpgradesDeps extends TrpcDeps, Omit<PlainWebSocketDeps, 'onSocketError'> {
  readonly connections: Connections;
  readonly basePath: string;
  /** Why the gateway takes nothing new of this socket; undefined while it does. */
  readonly refusalOf: (socket: Socket) => CourierError | undefined;
}

/** As many as may have yet to authenticate. */
const CROWDED = new CourierError('TOO_MANY_REQUESTS', 'too many connections have yet to authenticate', { retryAfterMs: 1000 });

/** Why the gateway closes a WebSocket on which a client breaks the protocol, or its bounds. */
const MALFORMED = new CourierError('PARSE_ERROR', 'this is no message of the WebSocket protocol');
const TOO_LARGE = new CourierError('PAYLOAD_TOO_LARGE', 'a message, or what it was cut into, is too large');
const IS_TOO_LARGE: ReadonlySet<string | undefined> = new Set(['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 'WS_ERR_TOO_MANY_BUFFERED_PARTS']);

type Serve = (connection: Connection, upgraded: Upgraded) => void;

interface Route {
  readonly transport: Transport;
  readonly target: RequestTarget;
  readonly serve: Serve;
}

export class Upgrades {
  readonly #deps: UpgradesDeps;
  readonly #contractHeader: string;
  readonly #trpc: TrpcEndpoint;
  readonly #plain: PlainWebSocketDeps;
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    // Pongs go through the connection's own queue, which has a bound.
    autoPong: false,
    maxPayload: MAX_MESSAGE_BYTES,
    maxFragments: MAX_FRAGMENTS,
    maxBufferedChunks: MAX_BUFFERED_CHUNKS,
    ...CLOSING,
  });

  constructor(deps: UpgradesDeps) {
    this.#deps = deps;
    this.#contractHeader = `X-Courier-Contract: ${contractHash(deps.pipeline.contract)}`;
    const onSocketError: WebSocketWireOptions['onSocketError'] = ({ code }, { id, requestId, address, sub }) => {
      const error = IS_TOO_LARGE.has(code) ? TOO_LARGE : MALFORMED;
      deps.failures.answer('websocket', error, { request_id: requestId, connection_id: id, reason: code }, { address, sub });
    };
    this.#trpc = trpcEndpoint({ ...deps, onSocketError });
    this.#plain = { ...deps, onSocketError };
    this.#server.on('headers', (headers) => headers.push(this.#contractHeader));
  }

  /** Takes one upgrade. */
  take(req: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#take(req, socket, head).catch((error: unknown) => {
      this.#deps.failures.report('websocket', 'an upgrade failed', error);
      socket.destroy();
    });
  }

  async #take(req: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    socket.on('error', destroy);
    const requestId = requestIdOf(req);
    const { connections } = this.#deps;
    let route: Route;
    try {
      route = this.#routeOf(req, socket);
    } catch (error) {
      this.#refuse(error, req, socket, requestId);
      return;
    }
    const connection = connections.arrive(req, route.transport, requestId);
    const onGone = () => connection.closed(1006);
    socket.once('close', onGone);
    connection.carriedBy(new UnansweredUpgrade(socket, this.#contractHeader));
    if (!(await connections.admit(connection, credentialsOf(req, tokenIn(route.target))))) {
      if (connection.state === 'opening') this.#refuse(CROWDED, req, socket, requestId);
      return;
    }
    this.#server.handleUpgrade(req, socket, head, (ws) => {
      socket.off('close', onGone);
      route.serve(connection, { ws, socket });
    });
  }

  /** Answers an upgrade that no connection came of. */
  #refuse(thrown: unknown, req: IncomingMessage, socket: Socket, requestId: string): void {
    const context = { request_id: requestId, method: req.method, path: pathOf(req) };
    const refused = { address: this.#deps.connections.addressOf(req), origin: req.headers.origin };
    const { code } = this.#deps.failures.answer('websocket', thrown, context, refused);
    refuse(socket, meaningOf(code).status, this.#contractHeader);
  }

  /** What serves an upgrade. @throws {CourierError} why nothing does. */
  #routeOf(req: IncomingMessage, socket: Socket): Route {
    const refusal = this.#deps.refusalOf(socket);
    if (refusal !== undefined) throw refusal;
    requireHost(req);
    if (!this.#deps.connections.allowsOrigin(req)) throw new CourierError('FORBIDDEN', 'pages of this origin may not use the gateway');
    const target = requestTarget(req.url ?? '', this.#deps.basePath);
    if (target.path === '/trpc') {
      const announced = new URLSearchParams(target.search).get('connectionParams') === '1';
      return {
        transport: 'trpc',
        target,
        serve: (connection, upgraded) => void new TrpcWire(this.#trpc, connection, upgraded, { req, announced }),
      };
    }
    if (!target.path.startsWith('/ws/')) throw new CourierError('NOT_FOUND', 'there is no WebSocket at this path');
    return {
      transport: 'plain',
      target,
      serve: (connection, upgraded) => void servePlainWebSocket(this.#plain, connection, upgraded, { req, target }),
    };
  }
}

/** An upgrade whose handshake has yet to be answered. */
class UnansweredUpgrade extends OneWayWire {
  readonly #socket: Socket;
  readonly #header: string;

  constructor(socket: Socket, header: string) {
    super();
    this.#socket = socket;
    this.#header = header;
  }

  override goodbye({ error }: Ending): void {
    refuse(this.#socket, meaningOf(error.code).status, this.#header);
  }

  override destroy(): void {
    this.#socket.destroy();
  }
}

/** Not a closure: it stays as long as the socket, and would keep the request. */
function destroy(this: Socket): void {
  this.destroy();
}

/** Answers with a status, and waits for nothing that comes after it. */
function refuse(socket: Socket, status: number, header: string): void {
  const retry = status === 503 || status === 429 ? 'Retry-After: 1\r\n' : '';
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n${header}\r\n${retry}\r\n`);
  socket.destroySoon();
}
