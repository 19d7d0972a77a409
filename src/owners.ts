/** Whose a file is that this process may not use: what was copied or restored by another user, mostly root. */
import { accessSync, constants, statSync } from 'node:fs';

/** What is wrong with a file of another user's, and what to do; undefined where it can be used, or is this process' own. */
export function ownerProblem(path: string, use: 'read' | 'write'): string | undefined {
  try {
    const file = statSync(path, { throwIfNoEntry: false });
    const user = process.geteuid?.();
    if (file === undefined || user === undefined || file.uid === user) return undefined;
    try {
      accessSync(path, use === 'read' ? constants.R_OK : constants.R_OK | constants.W_OK);
      return undefined;
    } catch {
      return `${path} is owned by user ${file.uid}, and this process is user ${user}: chown it`;
    }
  } catch {
    // Its folder may not be looked into.
    return undefined;
  }
}

/** What was thrown when the file was read, in words that say what to do where it is another user's. */
export function readProblem(path: string, error: unknown): string {
  return ownerProblem(path, 'read') ?? (error instanceof Error ? error.message : String(error));
}
