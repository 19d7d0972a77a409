/**
 * How a request becomes a connection: for its duration, or for as long as its stream lasts. A socket has few requests at once,
 * one behind the other: the gateway takes them as they come, and each keeps its answer until those before it have gone.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Connection } from '../connections/connection.ts';
import type { Connections } from '../connections/connections.ts';
import { DRAINING, type Ending, endingOf, type Wire } from '../connections/wire.ts';
import { type CourierError, tellable } from '../errors.ts';
import type { Failures } from '../observe/failures.ts';
import type { RequestTarget } from './request-target.ts';

/** One request, and where its answer goes. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly requestId: string;
  /** Of the request, once it has one. */
  connection?: Connection;
}

/** One that has a path of its own, and a connection. */
export interface RoutedExchange extends Exchange {
  readonly target: RequestTarget;
  readonly connection: Connection;
}

/** The requests of one socket. */
interface Pipelined {
  readonly socket: Socket;
  /** Those that have yet to be answered. */
  readonly unanswered: Exchange[];
  /** The one that came last: only of it a part may be missing. */
  last: Exchange;
  /** What ends the socket, or takes it over, once all of them are answered; nothing more is read of it then. */
  end?: () => void;
}

/** Requests of one socket that have yet to be answered, at most. Clients that do not wait for answers are rare, and send few. */
const MAX_PIPELINED_REQUESTS = 16;

export class HttpRequests {
  readonly #connections: Connections;
  readonly #failures: Failures;
  readonly #pipelined = new WeakMap<Socket, Pipelined>();

  readonly #stallMs: number;

  /** @param stallMs how long a client may read nothing of its answers while something waits for their end. */
  constructor(connections: Connections, failures: Failures, stallMs: number) {
    this.#connections = connections;
    this.#failures = failures;
    this.#stallMs = stallMs;
  }

  /** Counts a request, and cuts a socket with too many off. Returns whether the request is to be answered. */
  enter(exchange: Exchange): boolean {
    const { socket } = exchange.req;
    if (socket.destroyed) return false;
    const own = this.#pipelined.get(socket) ?? this.#watch(exchange);
    if (own.unanswered.length >= MAX_PIPELINED_REQUESTS) {
      socket.destroy();
      return false;
    }
    own.unanswered.push(exchange);
    own.last = exchange;
    exchange.res.once('close', () => over(own, exchange));
    return true;
  }

  /** Whether something waits to end the socket, or to take it over. */
  isLast(socket: Socket): boolean {
    return this.#pipelined.get(socket)?.end !== undefined;
  }

  /**
   * Calls `end` once every request of the socket is answered, at once where none waits: nothing else may write to it before. Cuts the
   * socket off instead where an answer streams, which may go on for ever.
   */
  afterAnswers(socket: Socket, end: () => void): void {
    const own = this.#pipelined.get(socket);
    if (own === undefined || own.unanswered.length === 0) end();
    else if (own.unanswered.some(isStream)) socket.destroy();
    else {
      own.end = end;
      // Of a socket that is to be taken over Node.js hears nothing any more.
      socket.setTimeout(this.#stallMs, () => socket.destroy());
    }
  }

  /** Ends the request of which a part is missing, unless it is answered. Returns whether there is one. */
  interrupt(socket: Socket, error: CourierError): boolean {
    const last = this.#pipelined.get(socket)?.last;
    if (last === undefined || last.req.complete) return false;
    last.connection?.end(endingOf(error));
    return true;
  }

  /** Whether a request waits for its rest. */
  isReading(socket: Socket): boolean {
    const last = this.#pipelined.get(socket)?.last;
    return last !== undefined && !last.req.complete && !last.res.writableEnded;
  }

  /** Makes a connection that lasts for its request. */
  request(exchange: Exchange): Connection {
    return this.#carry(exchange, this.#connections.request(exchange.req, exchange.requestId));
  }

  /** Makes a connection that lasts as long as its stream. @throws what `serve` throws, before the stream has begun. */
  async stream(exchange: Exchange, serve: (connection: Connection) => Promise<void>): Promise<void> {
    const { req, res, requestId } = exchange;
    // Until the stream begins it is a request, and ends with its socket.
    const connection = this.#carry(exchange, this.#connections.arrive(req, 'sse', requestId));
    try {
      await serve(connection);
    } catch (error) {
      if (!res.headersSent) {
        // What is refused before the stream begins is told, and counted, where it is answered.
        const answer = connection.ending?.error ?? error;
        connection.end(endingOf(tellable(answer)));
        throw answer;
      }
      const context = { request_id: requestId, connection_id: connection.id };
      if (connection.ending === undefined) connection.end(endingOf(this.#failures.answer('http', error, context, connection)));
    }
  }

  #carry(exchange: Exchange, connection: Connection): Connection {
    exchange.connection = connection;
    connection.carriedBy(new RequestWire(exchange.req, exchange.res, connection));
    // Its socket may have gone.
    if (this.#pipelined.get(exchange.req.socket)?.unanswered.includes(exchange) !== true) connection.closed();
    return connection;
  }

  #watch(exchange: Exchange): Pipelined {
    const { socket } = exchange.req;
    const own: Pipelined = { socket, unanswered: [], last: exchange };
    this.#pipelined.set(socket, own);
    // An answer that waits for others hears nothing of the end of its socket.
    socket.once('close', () => {
      for (const each of [...own.unanswered]) over(own, each);
    });
    return own;
  }
}

function isStream({ res, connection }: Exchange): boolean {
  return connection?.transport === 'sse' || (res.headersSent && !res.writableEnded);
}

/** The answer or the client has gone. */
function over(own: Pipelined, exchange: Exchange): void {
  const index = own.unanswered.indexOf(exchange);
  if (index < 0) return;
  own.unanswered.splice(index, 1);
  exchange.connection?.closed();
  // The client, or an answer that was the last, may have ended the socket.
  if (own.unanswered.length > 0 || own.end === undefined || !own.socket.writable) return;
  own.socket.setTimeout(0);
  own.end();
}

/** A wire on which the client says nothing after its request: its silence shows nothing. */
export abstract class OneWayWire implements Wire {
  readonly answersPings = false;
  readonly hasCloseFrames = false;
  readonly isRead = true;
  readonly bytesRead = 0;

  get bufferedBytes(): number {
    return 0;
  }

  ping(): void {}

  drain?(signal: AbortSignal): Promise<void>;

  abstract goodbye(ending: Ending): void;

  abstract destroy(): void;
}

/** A request answers for itself: what waits in it hears the connection's signal. */
class RequestWire extends OneWayWire {
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #connection: Connection;

  constructor(req: IncomingMessage, res: ServerResponse, connection: Connection) {
    super();
    this.#req = req;
    this.#res = res;
    this.#connection = connection;
  }

  override goodbye(): void {}

  override destroy(): void {
    this.#req.socket.destroy();
  }

  /** Waits neither for a body that has yet to come, which would be refused, nor for a client that reads its answer. */
  override async drain(): Promise<void> {
    if (!this.#req.complete || this.#res.writableEnded) this.#connection.end(DRAINING);
  }
}
