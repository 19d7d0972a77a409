/**
 * Where the log goes when it goes to standard output. What cannot be written, as the disk behind it is full, waits up to a bound and is
 * dropped then: no gateway ends for its log. Standard error is told of it once, and once more when lines can be written again.
 */
import { writeSync } from 'node:fs';
import { pino } from 'pino';

/** Bytes of lines that wait to be written; further lines are dropped, as waiting would stop the gateway. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;

type Destination = ReturnType<typeof pino.destination>;

/**
 * Bytes that are written at once, at most, where several processes write to one output: lines that a pipe takes whole (`PIPE_BUF` of Linux).
 * A longer line is written by itself.
 */
const SHARED_WRITE_BYTES = 4096;

/** @param isShared whether other processes write to standard output too. */
export function openLogOutput(isShared: boolean): Destination {
  // Node.js writes to a pipe that was looked at without waiting for its reader, which would delay the end of the process.
  void process.stdout;
  const output = pino.destination({
    dest: STANDARD_OUTPUT,
    sync: false,
    maxLength: MAX_WAITING_BYTES,
    ...(isShared && { maxWrite: SHARED_WRITE_BYTES }),
  });
  let isFailing = false;
  let dropped = 0;
  output.on('drop', () => {
    dropped += 1;
  });
  output.on('error', ({ message }: Error) => {
    if (!isFailing) tell(`the log cannot be written to standard output (${message}): its lines wait, and are dropped beyond 16 MB`);
    isFailing = true;
  });
  output.on('write', () => {
    if (isFailing) tell(`the log can be written again; lines dropped: ${dropped}`);
    isFailing = false;
    dropped = 0;
  });
  return output;
}

/** Where standard error goes to the same full disk, nobody can be told. */
function tell(message: string): void {
  try {
    writeSync(STANDARD_ERROR, `courier: ${message}\n`);
  } catch {
    // The next line of the log is tried all the same.
  }
}
