/** Standard output that may be closed by whoever reads it, as in `courier tail | head`: that is an end, not an error. */
import { EXIT } from './errors.ts';
import { type Line, rendered } from './line.ts';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});

/** Writes a line, and waits while the reader is slower than we are. */
export async function print(line: Line): Promise<void> {
  if (!process.stdout.write(`${rendered(line)}\n`)) await new Promise<void>((resolve) => process.stdout.once('drain', resolve));
}

/** Writes a line that is about the work, not its result. */
export function tell(line: Line): void {
  process.stderr.write(`${rendered(line, process.stderr)}\n`);
}
