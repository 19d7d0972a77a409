/** Temporary folders that a process makes and removes itself; what one left behind that was killed goes with the next process. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NAME = /^courier-[a-z]+-(\d+)-\w{6}$/;
let isSwept = false;

/** Makes one. @param kind a word, for whoever looks at what is there. */
export function makeTemporaryFolder(kind: string): string {
  if (!isSwept) sweep();
  isSwept = true;
  return mkdtempSync(join(tmpdir(), `courier-${kind}-${process.pid}-`));
}

/** Removes what processes have made that are gone. Another process may do so at the same time; what is another user's stays. */
function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = NAME.exec(name)?.[1];
    if (pid === undefined || isRunning(Number(pid))) continue;
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // It stays.
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // One of another user runs too.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
