/**
 * Temporary folders that a process makes and removes itself; what one left behind that was killed goes with the next process. All are
 * in one folder of this user's, where nothing else is. The name of each says which process made it, so that none is taken away from a
 * process in another container that shares the folder.
 */
import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Kind, where its process runs, the process, and when that was started. */
const NAME = /^[a-z]+-([0-9a-f]*)-(\d+)-(\d*)-\w{6}$/;
/** Others may pass through, as servers that run as users of their own, and not look around. */
const MODE = 0o711;
const WHERE = whereabouts();
let isSwept = false;

/** Makes one. @param kind a word, for whoever looks at what is there. @throws when the folder that they are in is not this user's. */
export function makeTemporaryFolder(kind: string): string {
  const parent = ownFolder();
  if (!isSwept) sweep(parent);
  isSwept = true;
  return mkdtempSync(join(parent, `${kind}-${WHERE}-${process.pid}-${startOf(process.pid) ?? ''}-`));
}

function ownFolder(): string {
  const uid = process.getuid?.();
  const path = join(tmpdir(), `courier-temporary-${uid ?? ''}`);
  try {
    mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  // Everybody may make folders beside it.
  const found = lstatSync(path);
  if (!found.isDirectory() || (uid !== undefined && found.uid !== uid))
    throw new Error(`${path} is not a folder of this user: remove it, or set TMPDIR`);
  chmodSync(path, MODE);
  return path;
}

/** Removes what processes have made that are gone. Another process may do so at the same time. */
function sweep(parent: string): void {
  for (const name of readdirSync(parent)) {
    const [, where, pid, start] = NAME.exec(name) ?? [];
    if (where !== WHERE || isRunning(Number(pid), start as string)) continue;
    try {
      rmSync(join(parent, name), { recursive: true, force: true });
    } catch {
      // It stays.
    }
  }
}

/** Names what numbers of processes hold for: this system since it was started, and the namespace. Empty where they are not told. */
function whereabouts(): string {
  try {
    const where = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8') + readlinkSync('/proc/self/ns/pid');
    return createHash('sha256').update(where).digest('hex').slice(0, 8);
  } catch {
    return '';
  }
}

function isRunning(pid: number, start: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // One of another user runs too.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return (startOf(pid) ?? '') === start;
}

/** When a process was started, in ticks since the system was; undefined where that is not told. Its name may have anything in it. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
