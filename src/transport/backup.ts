/**
 * A copy of the log as an answer. The log makes it first, beside itself, and the gateway then sends it as fast as the client
 * reads it; it is deleted when that is over, in whatever way.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Connection } from '../connections/connection.ts';
import { msUntilTooLate } from '../connections/expiry.ts';
import type { Timings } from '../connections/timings.ts';
import { CourierError } from '../errors.ts';
import type { EventLog } from '../log/log.ts';

const EXPIRED = new CourierError('UNAUTHORIZED', 'the token has expired');
const OVERDUE = new CourierError('SERVICE_UNAVAILABLE', 'the backup took too long', { retryAfterMs: 1000 });

export interface BackupExchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly connection: Connection;
  readonly timings: Pick<Timings, 'stallMs' | 'backupMs'>;
  /** Told of the bytes of the copy, once it is made. */
  readonly onCopied: (bytes: number) => void;
}

/**
 * Answers with a copy of the log; resolves to its bytes when all of it has gone.
 *
 * @throws {CourierError} what `EventLog.copy` throws; what the connection was ended with.
 */
export async function sendCopy(log: EventLog, { req, res, connection, timings, onCopied }: BackupExchange): Promise<number> {
  const overdue = new AbortController();
  const timer = setTimeout(() => overdue.abort(OVERDUE), timings.backupMs);
  // A request has no timer of its own, as it is over soon.
  const expiry = setTimeout(() => overdue.abort(EXPIRED), msUntilTooLate(connection.principal));
  const signal = AbortSignal.any([connection.signal, overdue.signal]);
  try {
    // While the copy is made nothing is sent, and nobody stalls.
    req.socket.setTimeout(0);
    await using copy = await log.copy(signal).finally(() => req.socket.setTimeout(timings.stallMs));
    connection.assertOpen();
    onCopied(copy.bytes);
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
    clearTimeout(expiry);
  }
}
