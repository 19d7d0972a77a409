/**
 * Tells in the log who connects, who goes and who is refused: with a line of its own while those are few, and beyond that once a second
 * with counts. The connections of all lines, one where `connections` is absent, add up to those that came and went.
 */
import { meaningOf } from '../contract/codes.ts';
import { Flood } from '../observe/flood.ts';
import type { LogContext, Logger } from '../observe/logger.ts';
import { logRefusal } from '../observe/refusals.ts';
import type { Connection } from './connection.ts';

/** Lines of single connections within WINDOW_MS, at most, of those that come and of those that go. */
const MAX_LINES = 100;
const WINDOW_MS = 1000;

/** What is counted apart. There are few: transports, codes and close codes. */
type Kind = Readonly<Record<string, unknown>>;

export class ConnectionLog implements Disposable {
  readonly #logger: Logger;
  readonly #connected: CountedLines;
  readonly #disconnected: CountedLines;
  readonly #stopFlushing: () => void;

  constructor(logger: Logger) {
    this.#logger = logger;
    this.#connected = new CountedLines(logger, 'connected');
    this.#disconnected = new CountedLines(logger, 'disconnected');
    this.#stopFlushing = logger.onFlush(() => this.#flush());
  }

  connected(connection: Connection): void {
    this.#connected.tell(this.#loggerOf(connection), { transport: connection.transport }, describe(connection));
  }

  disconnected(connection: Connection): void {
    const reason = reasonOf(connection);
    this.#disconnected.tell(
      this.#loggerOf(connection),
      { transport: connection.transport, ...reason },
      { ...describe(connection), ...reason },
    );
  }

  /** A WebSocket that ends before it is open was refused, unless its client has gone or something failed. */
  refused({ ending, transport, id, requestId, path, address, sub, origin, wire }: Connection): void {
    if (ending === undefined || ending.error.code === 'INTERNAL_SERVER_ERROR') return;
    const { error, close } = ending;
    // Until its handshake is answered there is no close frame.
    const told = wire?.hasCloseFrames ? { close } : { status: error.status ?? meaningOf(error.code).status };
    const context = { request_id: requestId, connection_id: id, path, ...told };
    logRefusal(this.#logger, transport === 'trpc' ? 'trpc' : 'websocket', error, context, { address, sub, origin });
  }

  [Symbol.dispose](): void {
    this.#flush();
    this.#stopFlushing();
  }

  #flush(): void {
    this.#connected.flush();
    this.#disconnected.flush();
  }

  #loggerOf({ isWebSocket }: Connection): Logger {
    return this.#logger.named(isWebSocket ? 'websocket' : 'http');
  }
}

/** Lines with one message, which are counted beyond MAX_LINES. */
class CountedLines {
  readonly #logger: Logger;
  readonly #message: string;
  readonly #flood = new Flood({ most: MAX_LINES, windowMs: WINDOW_MS, onLeftOut: () => this.#tellCounts() });
  /** By kind, as JSON. */
  readonly #counts = new Map<string, number>();

  constructor(logger: Logger, message: string) {
    this.#logger = logger;
    this.#message = message;
  }

  tell(logger: Logger, kind: Kind, context: LogContext): void {
    if (!logger.isEnabled('info')) return;
    if (this.#flood.admit()) logger.info(this.#message, context);
    else {
      const key = JSON.stringify(kind);
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    }
  }

  flush(): void {
    this.#flood.flush();
  }

  #tellCounts(): void {
    const counts = [...this.#counts].map(([key, connections]) => ({ ...(JSON.parse(key) as Kind), connections }));
    this.#counts.clear();
    this.#logger.info(this.#message, { connections: counts.reduce((sum, { connections }) => sum + connections, 0), counts });
  }
}

/** Why the gateway has ended a connection. */
function reasonOf({ ending }: Connection) {
  return ending === undefined ? {} : { code: ending.error.code, close: ending.close };
}

function describe({ id, principal: { sub, role }, transport, address, since }: Connection) {
  return { connection_id: id, user_id: sub, role, transport, address, since: new Date(since).toISOString() };
}
