/** Makes a file that is whole and on disk under its name, or not there at all. */
import { randomUUID } from 'node:crypto';
import { existsSync, lstatSync, rmSync } from 'node:fs';
import { link, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makePrivate } from '../../src/log/sqlite/rights.ts';
import { CliError } from './errors.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Makes `path`, which its owner only may read, from what `fill` puts into an empty file beside it. Nothing that has the name
 * is overwritten, and nothing is left when `fill` rejects or a signal ends the process.
 *
 * @throws {CliError} when there is something at `path`, or no file can be made there; what `fill` rejects with.
 */
export async function makeFile<T>(path: string, fill: (partial: string) => Promise<T>): Promise<T> {
  if (path === '') throw new CliError('the name of the file is empty');
  if (path.endsWith('/')) throw new CliError(`${path} is the name of a folder: name a file in it`);
  // Of one length, so that whatever the name is that is wanted, this one is not too long.
  const partial = join(dirname(path), `.courier-${randomUUID()}.partial`);
  using _interruption = removeWhenInterrupted(partial);
  try {
    refuseTaken(path);
    makePrivate(partial);
    const result = await fill(partial);
    await synced(partial, 'r+');
    // Unlike a rename it fails when somebody has made the file meanwhile.
    await link(partial, path);
    await rm(partial);
    await synced(dirname(path), 'r');
    return result;
  } catch (error) {
    remove(partial);
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
    remove(partial);
    stop();
    process.kill(process.pid, signal);
  };
  const stop = () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return { [Symbol.dispose]: stop };
}

/** With what SQLite made beside it. */
function remove(partial: string): void {
  for (const file of [partial, `${partial}-journal`]) if (existsSync(file)) rmSync(file);
}

async function synced(path: string, flags: string): Promise<void> {
  await using file = await open(path, flags);
  await file.sync();
}

/** What the file system says, in words. */
function told(error: unknown, path: string): unknown {
  if (!isOfSystem(error)) return error;
  if (error.code === 'EEXIST') return new CliError(`${path} was made by somebody else meanwhile, and is not overwritten`);
  return new CliError(`${path} cannot be made: ${writeProblem(error, dirname(path))}`);
}

function isOfSystem(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && 'syscall' in error;
}

function writeProblem({ code, syscall, message }: NodeJS.ErrnoException, folder: string): string {
  if (syscall === 'link' && code !== 'EIO') return `its file system has no hard links (${code}); use another, and copy it from there`;
  switch (code) {
    case 'ENOENT':
      // Some folders, such as /proc, say so of what cannot be made in them.
      return existsSync(folder) ? `the folder ${folder} takes no files` : `there is no folder ${folder}`;
    case 'ENOTDIR':
      return `${folder} is no folder`;
    case 'ENAMETOOLONG':
      return 'its name is too long for the file system';
    case 'EACCES':
    case 'EPERM':
      return `you may not write to the folder ${folder}`;
    case 'EROFS':
      return `the folder ${folder} may only be read`;
    case 'ENOSPC':
    case 'EDQUOT':
      return 'the disk is full';
    default:
      return message;
  }
}
