/**
 * Logs: one line each, `{timestamp, level, logger, message, context, request_id, correlation_id}` as JSON in production, readable in
 * development. Neither tokens nor event data are ever passed to it. Floods are cut, and what is left out is counted and told.
 */

import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { pino } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config.ts';
import type { LogLevel } from '../contract/admin.ts';
import { DescriptorOutage, isOutOfDescriptors, OUT_OF_DESCRIPTORS } from './descriptors.ts';
import { Flood } from './flood.ts';
import { openLogOutput } from './log-output.ts';

/** How long the program that reads the log may take at the end, in ms. */
const FLUSH_MS = 1000;
/** Equal warnings and errors of a part that are logged within REPEAT_WINDOW_MS; the rest of them are counted. */
const MAX_REPEATS = 20;
const REPEAT_WINDOW_MS = 10_000;

/** The parts of the gateway, by which its lines are told apart: `courier.log`. */
export type LogPart =
  | 'auth'
  | 'broker'
  | 'contract'
  | 'delivery'
  | 'gateway'
  | 'http'
  | 'limits'
  | 'log'
  | 'publish'
  | 'state'
  | 'trpc'
  | 'usage'
  | 'websocket';

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
  /** Equal warnings and errors are floods when they are many: their messages are few, and never of a caller's making. */
  warn(message: string, context?: LogContext): void;
  error(message: string, context?: LogContext): void;
  isEnabled(level: LogLevel): boolean;
  readonly level: LogLevel;
  /** Logs from this level on, and says so whatever the levels are. What was counted before is told before. */
  setLevel(level: LogLevel, context?: LogContext): void;
  /** The logger of a part of the gateway. */
  named(part: LogPart): Logger;
  /** Calls `tell` whenever what was counted is to be told at once, until the function that it returns is called. */
  onFlush(tell: () => void): () => void;
  /** Tells what was counted and not told yet. */
  flush(): void;
  /** Logs nothing any more. Resolves to true when what was logged is written, and to false when its reader takes too long. */
  close(): Promise<boolean>;
}

export interface LoggerOptions {
  /** Where it writes to; standard output when absent. */
  readonly destination?: NodeJS.WritableStream;
  /** The worker whose lines they are, where there are several. */
  readonly worker?: number;
  /** Other processes write to standard output too. */
  readonly isShared?: boolean;
}

export function createLogger(
  config: Pick<Config, 'logLevel' | 'logFormat'>,
  { destination, worker, isShared = false }: LoggerOptions = {},
): Logger {
  const options = {
    level: config.logLevel,
    base: worker === undefined ? null : { worker },
    messageKey: 'message',
    timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
    formatters: { level: (level: string) => ({ level: level.toUpperCase() }) },
  };
  const output = destination ?? openLogOutput(isShared);
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
          destination: output,
        })
      : output;
  const close = async () => {
    if (destination !== undefined) return true;
    const over = new AbortController();
    const written = once(stream, 'close').then(() => true);
    stream.end();
    const isWritten = await Promise.race([written, wait(FLUSH_MS, false, { signal: over.signal })]).catch(() => false);
    over.abort();
    return isWritten;
  };
  return new Lines(pino(options, stream), close).named('gateway');
}

type Level = 'debug' | 'info' | 'warn' | 'error';

/** Equal warnings or errors, of which many were left out. */
interface Repeats {
  readonly flood: Flood;
  leftOut: number;
}

/** What is written, and counted, for the loggers of all parts. */
class Lines {
  readonly #target: pino.Logger;
  readonly #close: () => Promise<boolean>;
  readonly #repeats = new Map<string, Repeats>();
  readonly #tellers = new Set<() => void>();
  /** Whether all was written in time; undefined until it is closed. */
  #closed: Promise<boolean> | undefined;
  readonly #descriptors = new DescriptorOutage(() => this.#write('info', 'gateway', 'descriptors are free again'));

  constructor(target: pino.Logger, close: () => Promise<boolean>) {
    this.#target = target;
    this.#close = close;
  }

  named(part: LogPart): Logger {
    const target = this.#target;
    const at = (level: Level) => (message: string, context?: LogContext) => this.#log(level, part, message, context);
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      isEnabled: (level) => this.#isEnabled(level),
      get level() {
        return target.level as LogLevel;
      },
      setLevel: (level, context) => {
        this.#flush();
        const from = this.#target.level;
        this.#target.level = 'warn';
        this.#write('warn', part, 'the log level was set', { ...context, from, to: level });
        this.#target.level = level;
      },
      named: (other) => this.named(other),
      onFlush: (tell) => {
        this.#tellers.add(tell);
        return () => this.#tellers.delete(tell);
      },
      flush: () => this.#flush(),
      close: () => {
        this.#closed ??= this.#end();
        return this.#closed;
      },
    };
  }

  #log(level: Level, part: LogPart, message: string, context: LogContext = {}): void {
    if (!this.#isEnabled(level)) return;
    if (level === 'debug' || level === 'info') this.#write(level, part, message, context);
    else if (isOutOfDescriptors(context.error)) {
      if (this.#descriptors.meet()) this.#write(level, part, message, { ...context, action: OUT_OF_DESCRIPTORS });
    } else {
      const repeats = this.#repeatsOf(level, part, message);
      if (repeats.flood.admit()) this.#write(level, part, message, context);
      else repeats.leftOut += 1;
    }
  }

  #repeatsOf(level: Level, part: LogPart, message: string): Repeats {
    const key = `${level} ${part} ${message}`;
    const known = this.#repeats.get(key);
    if (known !== undefined) return known;
    const onLeftOut = () => {
      this.#write(level, part, message, { suppressed: made.leftOut });
      made.leftOut = 0;
    };
    const made: Repeats = { flood: new Flood({ most: MAX_REPEATS, windowMs: REPEAT_WINDOW_MS, onLeftOut }), leftOut: 0 };
    this.#repeats.set(key, made);
    return made;
  }

  #write(level: Level, part: LogPart, message: string, { request_id, correlation_id, error, ...given }: LogContext = {}): void {
    const context = error === undefined ? given : { ...given, error: describeError(error) };
    this.#target[level]({
      logger: `courier.${part}`,
      message,
      ...(Object.keys(context).length > 0 && { context }),
      ...(request_id && { request_id }),
      ...(correlation_id && { correlation_id }),
    });
  }

  #isEnabled(level: LogLevel): boolean {
    return this.#closed === undefined && this.#target.isLevelEnabled(level);
  }

  #end(): Promise<boolean> {
    this.#flush();
    this.#descriptors[Symbol.dispose]();
    return this.#close();
  }

  #flush(): void {
    for (const tell of this.#tellers) tell();
    for (const { flood } of this.#repeats.values()) flood.flush();
  }
}

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? {} : { cause: describeError(error.cause) };
  return { name: error.name, message: error.message, stack: error.stack, ...cause };
}
