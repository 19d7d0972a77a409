/**
 * A copy of the log as an answer. It is made first, beside the log, and then sent at its reader's pace; it is gone when that is
 * over, in whatever way.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Connection } from '../connections/connection.ts';
import { CourierError } from '../errors.ts';
import type { EventLog } from '../log/log.ts';

/** How long making and sending a copy may take, in ms: it takes room on the log's disk meanwhile. */
const MAX_MS = 60 * 60 * 1000;
const RETRY_AFTER_MS = 1000;

export interface BackupExchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly connection: Connection;
  /** How long the reader may read nothing, in ms. */
  readonly stallMs: number;
}

/**
 * Answers with a copy of the log; resolves to its bytes when all of it has gone.
 *
 * @throws {CourierError} what `EventLog.copy` throws; what the connection was ended with.
 */
export async function sendCopy(log: EventLog, { req, res, connection, stallMs }: BackupExchange): Promise<number> {
  const overdue = new AbortController();
  const error = new CourierError('SERVICE_UNAVAILABLE', `a backup may take ${MAX_MS / 60_000} minutes`, { retryAfterMs: RETRY_AFTER_MS });
  const timer = setTimeout(() => overdue.abort(error), MAX_MS);
  const signal = AbortSignal.any([connection.signal, overdue.signal]);
  try {
    // While the copy is made nothing is sent, and nobody stalls.
    req.socket.setTimeout(0);
    await using copy = await log.copy(signal).finally(() => req.socket.setTimeout(stallMs));
    connection.assertOpen();
    res.writeHead(200, {
      'content-type': 'application/vnd.sqlite3',
      'content-length': copy.bytes,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      // A proxy would keep all of it in a file of its own.
      'x-accel-buffering': 'no',
    });
    await pipeline(copy.read(), res, { signal });
    return copy.bytes;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
