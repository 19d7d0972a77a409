/**
 * WebSocket without tRPC: `/ws/{channels}?token=&last_event_id=&from=&types=`. One JSON event a text frame, nothing to
 * send. Channels and patterns are separated by commas. Errors close the connection, with the reason as text.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import type { Access } from '../auth/access.ts';
import { type CloseCode, meaningOf } from '../contract/codes.ts';
import type { Delivery } from '../delivery/delivery.ts';
import type { Sink } from '../delivery/sink.ts';
import type { Feed } from '../delivery/subscriber.ts';
import { validated } from '../errors.ts';
import type { Failures } from '../observe/failures.ts';
import type { Logger } from '../observe/logger.ts';
import type { Meter } from '../observe/meter.ts';
import { typeList } from '../router/events.ts';
import { subscribe } from '../subscribe.ts';
import { readableChannels } from './channel-list.ts';
import { identityOf } from './client-identity.ts';
import { addressOf, type Doorway } from './doorway.ts';
import { headerOf, requestIdOf } from './http-exchange.ts';
import { decodeSegment } from './plain-http.ts';
import { SocketWriter, textFrames } from './socket-writer.ts';

export interface PlainWebSocketDeps {
  readonly feed: Feed;
  readonly access: Access;
  readonly logger: Logger;
  readonly failures: Failures;
}

const query = z.strictObject({
  token: z.string().optional(),
  last_event_id: z.string().optional(),
  from: z.enum(['now', 'earliest']).optional(),
  types: z
    .string()
    .transform((value) => value.split(','))
    .pipe(typeList)
    .optional(),
});

/** Connections that were quiet both ways for so long are pinged. */
const PING_MS = 30_000;
/** A connection whose ping is not answered within this is cut off. */
const PONG_WAIT_MS = 30_000;
const SWEEP_MS = 5000;

interface Connection {
  readonly ws: WebSocket;
  readonly writer: SocketWriter;
  pingedAt: number | undefined;
  heardAt: number;
}

/** The plain WebSocket connections. */
export class PlainWebSockets {
  readonly #deps: PlainWebSocketDeps;
  readonly #doorway: Doorway;
  readonly #connections = new Set<Connection>();
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: PlainWebSocketDeps, doorway: Doorway) {
    this.#deps = deps;
    this.#doorway = doorway;
  }

  /** Serves one connection until it closes. Never rejects. */
  async handle(ws: WebSocket, socket: Duplex, req: IncomingMessage, url: URL): Promise<void> {
    const connectionId = randomUUID();
    const writer = new SocketWriter(ws, socket);
    const closed = new AbortController();
    const connection = { ws, writer, pingedAt: undefined, heardAt: Date.now() };
    this.#add(connection);
    ws.on('error', (error) => {
      this.#deps.feed.meter.invalid('websocket');
      this.#deps.logger.debug('a WebSocket failed', { error });
    });
    ws.on('close', () => {
      this.#remove(connection);
      closed.abort();
    });
    try {
      await this.#serve(connectionId, writer, req, url, closed.signal);
    } catch (error) {
      const { code, message } = this.#deps.failures.answer('websocket', error, {
        request_id: requestIdOf(req),
        connection_id: connectionId,
      });
      writer.close(meaningOf(code).close, message);
    }
  }

  /** Ways to end each connection: what is queued is sent before. */
  leave(code: CloseCode, reason: string): (() => Promise<void>)[] {
    return [...this.#connections].map(
      ({ writer }) =>
        async () =>
          writer.close(code, reason),
    );
  }

  get connections(): number {
    return this.#connections.size;
  }

  async #serve(id: string, writer: SocketWriter, req: IncomingMessage, url: URL, signal: AbortSignal): Promise<void> {
    const { token, last_event_id: lastEventId, from, types } = validated(query, Object.fromEntries(url.searchParams));
    const credentials = { token, authorization: headerOf(req, 'authorization') };
    const address = addressOf(req);
    using session = await this.#deps.access.signIn(credentials, address, {
      id,
      transport: 'plain',
      address,
      ...identityOf(req),
      since: Date.now(),
      bufferedBytes: () => writer.bufferedBytes,
      close: ({ code, message }) => writer.close(meaningOf(code).close, message),
    });
    this.#doorway.pass(req);
    await session.charge('subscribe');
    const channels = readableChannels(session.principal, decodeSegment(url.pathname.slice('/ws/'.length)));
    await subscribe(this.#deps.feed, session, { channels, types, from, lastEventId }).attach(
      plainSink(writer, this.#deps.feed.meter),
      signal,
    );
  }

  #add(connection: Connection): void {
    this.#connections.add(connection);
    const heard = () => {
      connection.heardAt = Date.now();
      connection.pingedAt = undefined;
    };
    connection.ws.on('message', heard).on('pong', heard);
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  #remove(connection: Connection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sweep(): void {
    const now = Date.now();
    for (const connection of this.#connections) {
      const { ws, writer, pingedAt, heardAt } = connection;
      if (pingedAt !== undefined && now - pingedAt >= PONG_WAIT_MS) ws.terminate();
      else if (pingedAt === undefined && now - Math.max(heardAt, writer.lastWriteAt) >= PING_MS) {
        connection.pingedAt = now;
        ws.ping();
      }
    }
  }
}

function plainSink(writer: SocketWriter, meter: Meter): Sink {
  const framesOf = (deliveries: readonly Delivery[]): Buffer => {
    for (const { json } of deliveries) meter.message('out', json.length);
    return textFrames(deliveries.map(({ json }) => json));
  };
  return {
    get writable() {
      return writer.writable;
    },
    deliver: (batch) => writer.write(batch.bytes('plain', framesOf)),
    drained: (signal) => writer.drained(signal),
  };
}
