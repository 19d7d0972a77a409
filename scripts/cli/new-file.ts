/** Makes a file that is whole and on disk under its name, or not there at all. */
import { randomUUID } from 'node:crypto';
import { lstatSync, rmSync } from 'node:fs';
import { link, open, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { makePrivate } from '../../src/log/private-file.ts';
import { CliError } from './connection.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Makes `path`, which its owner only may read, from what `fill` puts into an empty file beside it. Nothing that has the name
 * is overwritten, and nothing is left when `fill` rejects or a signal ends the process.
 *
 * @throws {CliError} when there is something at `path`, or no file can be made there; what `fill` rejects with.
 */
export async function makeFile<T>(path: string, fill: (partial: string) => Promise<T>): Promise<T> {
  refuseTaken(path);
  const partial = join(dirname(path), `.${basename(path)}.${randomUUID()}.partial`);
  using _interruption = removeWhenInterrupted(partial);
  try {
    makePrivate(partial);
    const result = await fill(partial);
    await synced(partial, 'r+');
    // Unlike a rename it fails when somebody has made the file meanwhile.
    await link(partial, path);
    await rm(partial);
    await synced(dirname(path), 'r');
    return result;
  } catch (error) {
    await rm(partial, { force: true });
    throw told(error, path);
  }
}

function refuseTaken(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  throw new CliError(found.isDirectory() ? `${path} is a folder: name a file in it` : `${path} is there already, and is not overwritten`);
}

/** A signal ends the process as if nobody had listened, but for the file. */
function removeWhenInterrupted(partial: string): Disposable {
  const onSignal = (signal: NodeJS.Signals) => {
    for (const suffix of ['', '-journal']) rmSync(partial + suffix, { force: true });
    stop();
    process.kill(process.pid, signal);
  };
  const stop = () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return { [Symbol.dispose]: stop };
}

async function synced(path: string, flags: string): Promise<void> {
  await using file = await open(path, flags);
  await file.sync();
}

/** What the file system says, in words. */
function told(error: unknown, path: string): unknown {
  if (!(error instanceof Error && 'code' in error && 'syscall' in error)) return error;
  if (error.code === 'EEXIST') return new CliError(`${path} was made by somebody else meanwhile, and is not overwritten`);
  if (error.code === 'ENOENT') return new CliError(`${path} cannot be made: there is no folder ${dirname(path)}`);
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') return new CliError(`${path} cannot be made: the disk is full`);
  if (error.syscall === 'link' && error.code !== 'EIO')
    return new CliError(`${path} cannot be made: its file system has no hard links (${error.code}); use another, and copy it from there`);
  return new CliError(`${path} cannot be made: ${error.message}`);
}
