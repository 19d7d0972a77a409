/**
 * WebSockets, from their upgrade on. The gateway looks at what the request itself says of who speaks before it answers the
 * handshake: a client with a valid token is let in however many others wait to authenticate, and one for which there is no room is
 * told so by the status. A page cannot read that: it is told by the close code, after the handshake.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import type { Credentials } from '../auth/tokens.ts';
import type { Connection } from '../connections/connection.ts';
import type { Connections } from '../connections/connections.ts';
import { pathOf } from '../connections/request-path.ts';
import { CLOSING_MS, type Ending, endingOf, FULL, TOO_MANY_WAIT } from '../connections/wire.ts';
import type { Transport } from '../contract/admin.ts';
import { meaningOf } from '../contract/codes.ts';
import { CourierError, tellable } from '../errors.ts';
import { contractHash } from '../version.ts';
import { credentialsOf, identityOf, tokenIn } from './caller.ts';
import { requireHandshake } from './handshake.ts';
import { refuseSocket, requestIdOf, requireHost } from './http-exchange.ts';
import { type HttpRequests, OneWayWire } from './http-requests.ts';
import { type PlainWebSocketDeps, servePlainWebSocket } from './plain-websocket.ts';
import { parametersIn } from './query.ts';
import { type RequestTarget, requestTarget } from './request-target.ts';
import { type TrpcEndpoint, trpcEndpoint } from './trpc-endpoint.ts';
import type { TrpcDeps } from './trpc-http.ts';
import { TrpcWire } from './trpc-wire.ts';
import type { Opened, Upgraded, WebSocketWireOptions } from './web-socket-wire.ts';

/** Bytes of one WebSocket message from a client, at most: what a thousand publishes that waited take. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
const MAX_FRAGMENTS = 1024;
const MAX_BUFFERED_CHUNKS = 8192;
/** How long a client may take to go once it has closed; the types of `ws` do not know it yet. */
const CLOSING = { closeTimeout: CLOSING_MS };

export interface UpgradesDeps extends TrpcDeps, Omit<PlainWebSocketDeps, 'onSocketError'> {
  readonly connections: Connections;
  readonly basePath: string;
  readonly requests: HttpRequests;
  /** Why the gateway takes nothing new of this socket; undefined where it does. */
  readonly refusalOf: (socket: Socket) => CourierError | undefined;
}

/** Why the gateway closes a WebSocket on which a client breaks the protocol, or its bounds. */
const MALFORMED = new CourierError('PARSE_ERROR', 'this is no message of the WebSocket protocol');
const TOO_LARGE = new CourierError('PAYLOAD_TOO_LARGE', 'a message, or what it was cut into, is too large');
const IS_TOO_LARGE: ReadonlySet<string | undefined> = new Set(['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 'WS_ERR_TOO_MANY_BUFFERED_PARTS']);

/** @param opened undefined where the client has yet to say who it is. */
type Serve = (connection: Connection, upgraded: Upgraded, opened: Opened | undefined) => void;

interface Route {
  readonly transport: Transport;
  readonly target: RequestTarget;
  /** Undefined where the client has announced that it will send some. */
  readonly credentials: Credentials | undefined;
  readonly serve: Serve;
}

/** Statuses that say: not now. */
const NOT_NOW: ReadonlySet<number> = new Set([429, 503]);

export class Upgrades {
  readonly #deps: UpgradesDeps;
  readonly #contract: string;
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
    this.#contract = contractHash(deps.pipeline.contract);
    const onSocketError: WebSocketWireOptions['onSocketError'] = ({ code }, { id, requestId, address, sub }) => {
      const error = IS_TOO_LARGE.has(code) ? TOO_LARGE : MALFORMED;
      deps.failures.answer('websocket', error, { request_id: requestId, connection_id: id, reason: code }, { address, sub });
    };
    this.#trpc = trpcEndpoint({ ...deps, onSocketError });
    this.#plain = { ...deps, onSocketError };
    this.#server.on('headers', (headers) => headers.push(`X-Courier-Contract: ${this.#contract}`));
  }

  /** Takes one upgrade, in its turn: the requests before it on its socket are answered first. */
  take(req: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on('error', destroy);
    this.#deps.requests.afterAnswers(socket, () => {
      this.#take(req, socket, head).catch((error: unknown) => {
        this.#deps.failures.report('websocket', 'an upgrade failed', error);
        socket.destroy();
      });
    });
  }

  async #take(req: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const requestId = requestIdOf(req);
    const refuse = (error: CourierError) => refuseSocket(socket, error, { requestId, contract: this.#contract });
    let route: Route;
    try {
      route = this.#routeOf(req, socket);
    } catch (error) {
      const context = { request_id: requestId, method: req.method, path: pathOf(req) };
      const refused = { address: this.#deps.connections.addressOf(req), origin: req.headers.origin };
      refuse(this.#deps.failures.answer('websocket', error, context, refused));
      return;
    }
    const connection = this.#deps.connections.arrive(req, route.transport, requestId);
    const onGone = () => connection.closed(1006);
    socket.once('close', onGone);
    connection.carriedBy(new UnansweredUpgrade(socket, refuse));
    const opened = await this.#letIn(connection, req, route);
    if (connection.ending !== undefined || connection.state === 'closed') return;
    this.#server.handleUpgrade(req, socket, head, (ws) => {
      socket.off('close', onGone);
      route.serve(connection, { ws, socket }, opened);
    });
  }

  /**
   * Admits a connection, and opens it where its request says who speaks. What refuses it ends it here where the client can read a
   * status that says so; else it is for the transport to tell.
   */
  async #letIn(connection: Connection, req: IncomingMessage, { target, credentials }: Route): Promise<Opened | undefined> {
    const { connections } = this.#deps;
    const readsStatus = req.headers.origin === undefined;
    if (readsStatus && (await connections.isFull())) {
      connection.end(FULL);
      return undefined;
    }
    if (!(await connections.admit(connection, credentialsOf(req, tokenIn(target))))) {
      connection.end(TOO_MANY_WAIT);
      return undefined;
    }
    if (credentials === undefined) return undefined;
    const opening = connection.open(credentials, identityOf(req));
    await opening.catch((error: unknown) => {
      if (!readsStatus || !NOT_NOW.has(meaningOf(tellable(error).code).status)) return;
      connection.end(endingOf(tellable(error)));
    });
    return () => opening;
  }

  /** What serves an upgrade. @throws {CourierError} what refuses it. */
  #routeOf(req: IncomingMessage, socket: Socket): Route {
    const refusal = this.#deps.refusalOf(socket);
    if (refusal !== undefined) throw refusal;
    requireHost(req);
    if (!this.#deps.connections.allowsOrigin(req)) throw new CourierError('FORBIDDEN', 'pages of this origin may not use the gateway');
    const target = requestTarget(req.url ?? '', this.#deps.basePath);
    if (target.path !== '/trpc' && !target.path.startsWith('/ws/')) {
      throw new CourierError('NOT_FOUND', 'there is no WebSocket at this path');
    }
    requireHandshake(req);
    if (target.path === '/trpc') {
      const announced = parametersIn(target).get('connectionParams') === '1';
      return {
        transport: 'trpc',
        target,
        credentials: announced ? undefined : credentialsOf(req),
        serve: (connection, upgraded, opened) => void new TrpcWire(this.#trpc, connection, upgraded, { req, announced, opened }),
      };
    }
    return {
      transport: 'plain',
      target,
      credentials: credentialsOf(req, tokenIn(target)),
      serve: (connection, upgraded, opened) => void servePlainWebSocket(this.#plain, connection, upgraded, { target, opened }),
    };
  }
}

/** An upgrade whose handshake has yet to be answered. */
class UnansweredUpgrade extends OneWayWire {
  readonly #socket: Socket;
  readonly #refuse: (error: CourierError) => void;

  constructor(socket: Socket, refuse: (error: CourierError) => void) {
    super();
    this.#socket = socket;
    this.#refuse = refuse;
  }

  override goodbye({ error }: Ending): void {
    this.#refuse(error);
  }

  override destroy(): void {
    this.#socket.destroy();
  }
}

/** Not a closure: it stays as long as the socket, and would keep the request. */
function destroy(this: Socket): void {
  this.destroy();
}
