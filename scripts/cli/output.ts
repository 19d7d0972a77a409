/** Standard output that may be closed by whoever reads it, as in `courier tail | head`: that is an end, not an error. */
import { EXIT } from './errors.ts';
import { type Line, rendered } from './line.ts';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});

/** Bytes that may wait for the reader of standard output, about, until what brings more is to rest. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** Whether as much waits as may. */
export function isBehind(): boolean {
  return process.stdout.writableLength >= MAX_WAITING_BYTES;
}

let untilDrained: Promise<void> | undefined;

/** Resolves once nothing waits any more. One wait for all who ask: each of many lines may. */
export function drained(): Promise<void> {
  if (!process.stdout.writableNeedDrain) return Promise.resolve();
  untilDrained ??= new Promise((resolve) =>
    process.stdout.once('drain', () => {
      untilDrained = undefined;
      resolve();
    }),
  );
  return untilDrained;
}

/** Writes a line, and waits while the reader is slower than we are. */
export async function print(line: Line): Promise<void> {
  if (!process.stdout.write(`${rendered(line)}\n`)) await drained();
}

/** Writes a line that is about the work, not its result. */
export function tell(line: Line): void {
  process.stderr.write(`${rendered(line, process.stderr)}\n`);
}
