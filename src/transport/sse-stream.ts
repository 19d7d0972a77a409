/**
 * A stream of server-sent events. Its bytes go to the socket itself, paced like a WebSocket's and shared with other streams;
 * the answer has no length, and ends with its connection.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Connection } from '../connections/connection.ts';
import { type Ending, STALLED } from '../connections/wire.ts';
import type { Delivery, Form, Sink } from '../delivery/batch.ts';
import type { Meter } from '../observe/meter.ts';
import { OneWayWire } from './http-requests.ts';
import { SocketWriter } from './socket-writer.ts';

/** How events, pings and the end are written for a kind of client. */
export interface SseDialect {
  /** Names the form: streams of the same name share the bytes of an event. */
  readonly name: string;
  readonly opening: string;
  readonly ping: Buffer;
  event(delivery: Delivery): string;
  /** The last message of the stream. Where the client may come back, it says how long the client is to wait. */
  lastWords(ending: Ending): string;
}

/** How long a client is to wait before it comes back, in ms, at least. */
const MIN_RETRY_MS = 1000;

interface SseStreamOptions {
  readonly stallMs: number;
  readonly meter: Meter;
}

/**
 * Answers with a stream, from now on the wire of the connection.
 *
 * @throws {CourierError} what the connection was ended with before.
 */
export async function openSseStream(
  connection: Connection,
  res: ServerResponse,
  dialect: SseDialect,
  options: SseStreamOptions,
): Promise<SseStream> {
  // An answer to a request that came before on the same connection may yet have to go.
  if (res.socket === null) await once(res, 'socket', { signal: connection.signal }).catch(() => connection.assertOpen());
  connection.assertOpen();
  // Without it the body is not cut into chunks, and ends with the connection.
  res.removeHeader('transfer-encoding');
  res.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    connection: 'close',
  });
  res.flushHeaders();
  // A stream may be quiet; its writer notices a client that does not read it.
  res.socket?.setTimeout(0);
  const stream = new SseStream(connection, res.socket as Socket, dialect, options);
  connection.carriedBy(stream);
  return stream;
}

export class SseStream extends OneWayWire {
  readonly sink: Sink;
  readonly #socket: Socket;
  readonly #writer: SocketWriter;
  readonly #dialect: SseDialect;

  constructor(connection: Connection, socket: Socket, dialect: SseDialect, { stallMs, meter }: SseStreamOptions) {
    super();
    this.#socket = socket;
    this.#dialect = dialect;
    this.#writer = new SocketWriter(socket, { stallMs, onStalled: () => connection.end(STALLED) });
    socket.once('close', () => this.#writer.end());
    this.#writer.write(Buffer.from(dialect.opening));
    const form: Form = {
      name: dialect.name,
      make: (deliveries) => {
        const bytes = Buffer.from(deliveries.map((delivery) => dialect.event(delivery)).join(''));
        meter.message('out', bytes.length);
        return bytes;
      },
    };
    this.sink = this.#writer.sink({ framesOf: (batch) => batch.render(form) });
  }

  override get bufferedBytes(): number {
    return this.#writer.bufferedBytes;
  }

  /** Keeps proxies from closing a quiet stream. A stream that is behind is not quiet. */
  override ping(): void {
    if (this.#writer.writable) this.#writer.write(this.#dialect.ping);
  }

  override goodbye(ending: Ending): void {
    const { retryAfterMs } = ending.error;
    const retry = retryAfterMs === undefined ? '' : `retry: ${Math.max(MIN_RETRY_MS, retryAfterMs)}\n`;
    this.#writer.write(Buffer.from(retry + this.#dialect.lastWords(ending)));
    this.#writer.end();
    this.#socket.end();
  }

  override destroy(): void {
    this.#socket.destroy();
  }
}
