/**
 * A stream of server-sent events. Its bytes go to the socket itself, paced like a WebSocket's and shared with other streams;
 * the answer has no length, and ends with its connection.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Connection } from '../connections/connection.ts';
import { type Ending, STALLED, type Wire } from '../connections/wire.ts';
import type { Delivery, Sink } from '../delivery/batch.ts';
import type { Meter } from '../observe/meter.ts';
import { SocketWriter } from './socket-writer.ts';

/** How events, pings and the end are written for a kind of client. */
export interface SseDialect {
  /** Names the form: streams of the same name share the bytes of an event. */
  readonly name: string;
  readonly opening: string;
  readonly ping: string;
  event(delivery: Delivery): string;
  lastWords(ending: Ending): string;
}

export interface SseStreamOptions {
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
  // A stream may be quiet; one that is not read is noticed by its writer.
  res.socket?.setTimeout(0);
  const stream = new SseStream(connection, res.socket as Socket, dialect, options);
  connection.carriedBy(stream);
  return stream;
}

export class SseStream implements Wire {
  readonly answersPings = false;
  readonly isRead = true;
  readonly bytesRead = 0;
  readonly sink: Sink;
  readonly #socket: Socket;
  readonly #writer: SocketWriter;
  readonly #dialect: SseDialect;

  constructor(connection: Connection, socket: Socket, dialect: SseDialect, { stallMs, meter }: SseStreamOptions) {
    this.#socket = socket;
    this.#dialect = dialect;
    const writer = new SocketWriter(socket, { stallMs, onStalled: () => connection.end(STALLED) });
    this.#writer = writer;
    socket.once('close', () => writer.end());
    writer.write(Buffer.from(dialect.opening));
    const make = (deliveries: readonly Delivery[]) => {
      const text = deliveries.map((delivery) => dialect.event(delivery)).join('');
      const bytes = Buffer.from(text);
      meter.message('out', bytes.length);
      return bytes;
    };
    this.sink = {
      get writable() {
        return writer.writable;
      },
      deliver: (batch) => writer.write(batch.render(dialect.name, make)),
      drained: (signal) => writer.drained(signal),
    };
  }

  get bufferedBytes(): number {
    return this.#writer.bufferedBytes;
  }

  /** Keeps proxies from closing a quiet stream. One that is behind is not quiet. */
  ping(): void {
    if (this.#writer.writable) this.#writer.write(Buffer.from(this.#dialect.ping));
  }

  goodbye(ending: Ending): void {
    this.#writer.write(Buffer.from(this.#dialect.lastWords(ending)));
    this.#writer.end();
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
