/** `courier backup`: a copy of a log in SQLite, checked and on disk before it is said to be there. */

import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pipeline } from 'node:stream/promises';
import { Worker } from 'node:worker_threads';
import { parseConfig } from '../../src/config.ts';
import { copyDatabase } from '../../src/log/sqlite/copy.ts';
import type { LogFile } from '../../src/log/sqlite/schema.ts';
import { IN_USE, openProblem, recognise } from '../../src/log/sqlite/schema.ts';
import type { Inspection } from './backup-check.ts';
import { type ConnectionOptions, getFile } from './connection.ts';
import { CliError } from './errors.ts';
import { makeFile } from './new-file.ts';
import { print } from './output.ts';

export interface BackupOptions extends ConnectionOptions {
  /** Copies the file that COURIER_LOG names, of a gateway that does not run. */
  readonly stopped?: boolean | undefined;
  readonly json?: boolean | undefined;
}

export async function backup(path: string, options: BackupOptions): Promise<void> {
  if (/-(wal|shm|journal)$/.test(path)) throw new CliError(`${path} has a name that SQLite gives to files of its own: choose another`);
  const found = await makeFile(path, async (partial) => {
    if (options.stopped) await copyStopped(partial);
    else await download(partial, options);
    return inspected(partial);
  });
  await print(options.json ? JSON.stringify({ file: path, ...named(found) }) : sentence(path, found));
}

async function download(partial: string, options: ConnectionOptions): Promise<void> {
  const body = await getFile(options, '/backup', 'application/vnd.sqlite3');
  try {
    await pipeline(body, createWriteStream(partial, { flags: 'r+' }));
  } catch (cause) {
    if (cause instanceof Error && 'syscall' in cause && cause.syscall === 'write') throw cause;
    throw new CliError('the gateway broke off, or was cut off, before all of the backup had come: look into its log');
  }
}

/** As nobody has the file open, nothing of it changes meanwhile. */
async function copyStopped(partial: string): Promise<void> {
  const { log } = parseConfig({ ...process.env, NODE_ENV: 'development' }, { unknown: 'pass-over' });
  if (log.kind === 'postgres') throw new CliError('COURIER_LOG is in PostgreSQL: back its database up with pg_dump');
  if (log.kind === 'memory') throw new CliError('COURIER_LOG is memory:, of which nothing is left when the gateway has ended');
  if (!existsSync(log.path)) throw new CliError(`COURIER_LOG names ${log.path}, and there is no such file`);
  let db: DatabaseSync | undefined;
  try {
    // What a gateway that was killed left in the write-ahead log goes into the file, as at its next start.
    db = new DatabaseSync(log.path, { timeout: 0 });
    // No gateway may open it while it is copied.
    db.exec('PRAGMA locking_mode = EXCLUSIVE');
    if (recognise(db) === 0) throw new CliError(`COURIER_LOG names ${log.path}, which is empty`);
    await copyDatabase(db, partial, { signal: new AbortController().signal });
  } catch (error) {
    if (error instanceof CliError) throw error;
    const problem = openProblem(error);
    const advice = problem === IN_USE ? ': leave out --stopped beside a running gateway' : '';
    throw new CliError(`${log.path} cannot be copied: ${problem}${advice}`);
  } finally {
    db?.close();
  }
}

/** @throws {CliError} when the copy is damaged. */
async function inspected(partial: string): Promise<LogFile> {
  // Beside the main thread, which is to hear signals.
  const file = new URL(`./backup-check${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
  const [inspection] = (await once(new Worker(file, { workerData: partial }), 'message')) as [Inspection];
  if ('problem' in inspection) throw new CliError(`the backup was thrown away, as it cannot be used: ${inspection.problem}`);
  return inspection;
}

function named({ bytes, schemaVersion, events, first, last }: LogFile) {
  return { bytes, schema_version: schemaVersion, events, first, last };
}

function sentence(path: string, { bytes, schemaVersion, events, last }: LogFile): string {
  const until = last === null ? 'no events' : `${events} events, the last one ${last}`;
  return `${path}: ${until}; ${(bytes / 1024 / 1024).toFixed(1)} MiB, version ${schemaVersion}, checked and synced`;
}
