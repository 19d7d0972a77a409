/**
 * Logs: one line each, `{timestamp, level, logger, message, context, request_id, correlation_id}` as JSON in production, readable in
 * development. Neither tokens nor event data are ever passed to it.
 */

import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { pino } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config.ts';
import type { LogLevel } from '../contract/admin.ts';

/** Bytes of lines that wait for the program that reads the log; further lines are dropped, as waiting for it would stop the gateway. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
/** How long the program that reads the log may take at the end, in ms. */
const FLUSH_MS = 1000;
/** Equal warnings and errors that are logged within REPEAT_WINDOW_MS; the rest of them are counted. */
const MAX_REPEATS = 20;
const REPEAT_WINDOW_MS = 10_000;

export interface LogContext {
  readonly request_id?: string;
  readonly correlation_id?: string | undefined;
  /** An error to show with its cause; its stack goes to the log and nowhere else. */
  readonly error?: unknown;
  readonly [key: string]: unknown;
}

export interface Logger {
  debug(message: string, context?: LogContext): void;
  info(message: string, context?: LogContext): void;
  warn(message: string, context?: LogContext): void;
  error(message: string, context?: LogContext): void;
  isEnabled(level: LogLevel): boolean;
  /** Logs from this level on. */
  setLevel(level: LogLevel): void;
  /** A logger for a part of the gateway. */
  named(name: string): Logger;
  /** Logs nothing any more. Resolves to true when what was logged is written, and to false when its reader takes too long. */
  close(): Promise<boolean>;
}

/** Makes the logger of the gateway; it writes to `destination`, or to standard output. */
export function createLogger(config: Pick<Config, 'logLevel' | 'logFormat'>, destination?: NodeJS.WritableStream): Logger {
  const options = {
    level: config.logLevel,
    base: null,
    messageKey: 'message',
    timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
    formatters: { level: (level: string) => ({ level }) },
  };
  // Node.js writes to a pipe that was looked at without waiting for its reader, which would delay the end of the process.
  if (destination === undefined) void process.stdout;
  const stream =
    config.logFormat === 'pretty'
      ? pretty({
          colorize: destination === undefined && process.stdout.isTTY === true,
          timestampKey: 'timestamp',
          messageKey: 'message',
          translateTime: 'SYS:HH:MM:ss.l',
          ignore: 'logger',
          singleLine: true,
          messageFormat: '{logger}: {message}',
          destination: destination ?? 1,
        })
      : (destination ?? pino.destination({ dest: 1, sync: false, maxLength: MAX_WAITING_BYTES }));
  const close = async () => {
    if (destination !== undefined) return true;
    const over = new AbortController();
    const written = once(stream, 'close').then(() => true);
    stream.end();
    const isWritten = await Promise.race([written, wait(FLUSH_MS, false, { signal: over.signal })]).catch(() => false);
    over.abort();
    return isWritten;
  };
  return wrap(pino(options, stream), 'gateway', close);
}

/** Keeps a failure that comes again and again from filling the log. */
class Repeats {
  readonly #windows = new Map<string, { startedAt: number; count: number }>();

  /** How many like it were left out since the last one that was not; undefined when it is to be left out too. */
  admit(message: string): number | undefined {
    const now = performance.now();
    const window = this.#windows.get(message);
    if (window === undefined || now - window.startedAt >= REPEAT_WINDOW_MS) {
      this.#windows.set(message, { startedAt: now, count: 1 });
      return Math.max(0, (window?.count ?? 0) - MAX_REPEATS);
    }
    window.count += 1;
    return window.count > MAX_REPEATS ? undefined : 0;
  }
}

function wrap(target: pino.Logger, name: string, close: () => Promise<boolean>, repeats = new Repeats()): Logger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: LogContext = {}) => {
      const suppressed = level === 'warn' || level === 'error' ? repeats.admit(message) : 0;
      if (suppressed === undefined) return;
      const { request_id, correlation_id, error, ...given } = fields;
      const context = suppressed === 0 ? given : { ...given, suppressed };
      const details = error === undefined ? context : { ...context, error: describeError(error) };
      target[level](
        {
          logger: name,
          ...(request_id && { request_id }),
          ...(correlation_id && { correlation_id }),
          ...(Object.keys(details).length > 0 && { context: details }),
        },
        message,
      );
    };
  const setLevel = (level: LogLevel) => {
    target.level = level;
  };
  return {
    isEnabled: (level) => target.isLevelEnabled(level),
    setLevel,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    named: (inner) => wrap(target, inner, close, repeats),
    close,
  };
}

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? {} : { cause: describeError(error.cause) };
  return { name: error.name, message: error.message, stack: error.stack, ...cause };
}
