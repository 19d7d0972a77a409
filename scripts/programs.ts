/** Runs the programs that scripts are made of, one after another. */
import { type SpawnSyncOptions, spawnSync } from 'node:child_process';

/** A program that ended with this; what it printed has said why. */
export class Failed extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`ended with ${exitCode}`);
    this.exitCode = exitCode;
  }
}

export type RunOptions = Pick<SpawnSyncOptions, 'cwd' | 'env'>;

/** Runs a program, with what it prints. @throws {Failed} */
export function run(program: string, args: readonly string[], options: RunOptions): void {
  const { error, status } = spawnSync(program, args, { ...options, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Failed(status ?? 1);
}

/**
 * As `run`, but what it prints is shown only when it fails; otherwise its standard output is returned.
 *
 * @param shown makes of what it printed what may be seen.
 * @throws {Failed}
 */
export function runQuietly(program: string, args: readonly string[], options: RunOptions, shown = (text: string) => text): string {
  const { error, status, stdout, stderr } = spawnSync(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status === 0) return stdout;
  process.stderr.write(shown(`${stdout}${stderr}`));
  throw new Failed(status ?? 1);
}
