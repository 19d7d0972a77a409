/** Running out of file descriptors: whatever meets it, in whatever words, it is one trouble, and is told once until it is over. */
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';

/** Of the process, and of the whole system. */
const CODES: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE']);
/** Errors that are looked at, one within another. */
const MAX_DEPTH = 10;
/** It is over when nothing met it for so long, in ms, and a file can be opened. */
const QUIET_MS = 5000;
const LOOK_MS = 1000;

export const OUT_OF_DESCRIPTORS =
  'no more files and connections can be opened: raise the limit of open files (ulimit -n, LimitNOFILE; fs.file-max where ENFILE is the code), or add instances';

/** Whether an error, or one that caused it, says that there are no descriptors. */
export function isOutOfDescriptors(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth > MAX_DEPTH) return false;
  if ('code' in error && CODES.has(error.code)) return true;
  // SQLite does not say why.
  if (error.message.includes('unable to open database file')) return !canOpen();
  const causes = error instanceof AggregateError ? [error.cause, ...error.errors.slice(0, MAX_DEPTH)] : [error.cause];
  return causes.some((cause) => isOutOfDescriptors(cause, depth + 1));
}

export class DescriptorOutage implements Disposable {
  readonly #onOver: () => void;
  #metAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(onOver: () => void) {
    this.#onOver = onOver;
  }

  /** Somebody has met it. Returns whether that is the first time of this outage. */
  meet(): boolean {
    this.#metAt = performance.now();
    if (this.#timer !== undefined) return false;
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
    return true;
  }

  #look(): void {
    if (performance.now() - this.#metAt < QUIET_MS || !canOpen()) return;
    this[Symbol.dispose]();
    this.#onOver();
  }

  /** Whether it is over is looked at no more. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

function canOpen(): boolean {
  try {
    closeSync(openSync(devNull, 'r'));
    return true;
  } catch {
    return false;
  }
}
