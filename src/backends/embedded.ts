/** The log that the gateway itself keeps in a file, for one process or several, and what lies beside it. */
import { join, parse } from 'node:path';
import { revocationFile } from '../auth/revocations-file.ts';
import type { Config } from '../config.ts';
import { unavailable } from '../log/answers.ts';
import type { EventLog } from '../log/log.ts';
import type { Opened, Reply } from '../log/sqlite/messages.ts';
import { LogOpenError } from '../log/sqlite/schema.ts';
import { openSqliteFile, openSqliteLog, SqliteLog, type SqliteLogOptions } from '../log/sqlite.ts';
import { Failures } from '../observe/failures.ts';
import type { LogOutage } from '../observe/log-outage.ts';
import { noMeter } from '../observe/meter.ts';
import { usageFile } from '../usage/usage-file.ts';
import { LogSwitch } from '../workers/log-switch.ts';
import { type BackendsDeps, outageOf, type Stores, toldOf } from './parts.ts';

export type SqliteTarget = Extract<Config['log'], { kind: 'sqlite' }>;
type FailedReply = Extract<Reply, { kind: 'failed' }>;

/** @throws {LogOpenError} */
export function openSqlite(target: SqliteTarget, deps: BackendsDeps, outage: LogOutage): Promise<EventLog> {
  return openSqliteLog(sqliteOptions(target, deps, outage)).catch(namingVariable);
}

/** The embedded log for several workers. */
export interface SwitchedLog extends AsyncDisposable {
  readonly log: LogSwitch;
  /** What a worker has to know that begins now. */
  readonly opened: () => Opened;
  /** The supervisor's own, which closes it. */
  readonly own: EventLog;
}

/** @throws {LogOpenError} */
export async function openSwitchedLog(target: SqliteTarget, deps: BackendsDeps): Promise<SwitchedLog> {
  await using stack = new AsyncDisposableStack();
  const own = Promise.withResolvers<EventLog>();
  // Whoever has asked has counted what failed.
  const failures = new Failures({ meter: noMeter, logger: deps.logger });
  const outage = outageOf('sqlite', own.promise, { ...deps, failures });
  const options = sqliteOptions(target, deps, outage);
  const { port, opened } = await openSqliteFile(options).catch(namingVariable);
  const onFailed = ({ reason, detail, ...failed }: FailedReply) =>
    outage.onError(unavailable(reason, new Error(detail)), 'of' in failed ? failed.of : 'append');
  const log = new LogSwitch(port, onFailed);
  const ownLog = stack.use(new SqliteLog(log.own, opened, options));
  stack.use(outage);
  own.resolve(ownLog);
  const resources = stack.move();
  return {
    log,
    opened: () => ({ ...opened, knownMs: ownLog.now.latest }),
    own: ownLog,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function sqliteOptions({ path, mustExist }: SqliteTarget, deps: BackendsDeps, outage: LogOutage): SqliteLogOptions {
  const onClockJump = (by_ms: number) =>
    deps.logger
      .named('log')
      .warn('the clock jumped: what is retained is measured by the time before, until the new one has stood for an hour', { by_ms });
  return { path, mustExist, onClockJump, ...toldOf('the worker of the event log failed', deps, outage) };
}

function namingVariable(error: unknown): never {
  throw error instanceof LogOpenError ? new LogOpenError(`COURIER_LOG: ${error.message}`, { cause: error }) : error;
}

/** What is kept beside a log's file: under names of its own, as several logs may lie in one directory. Those of `courier.db` are short. */
function filesBeside(path: string) {
  const { dir, base } = parse(path);
  const own = (file: string) => join(dir, base === 'courier.db' ? file : `${base}.${file}`);
  return {
    revocations: own('revocations.json'),
    contractUsers: own('contract-users.json'),
    /** Earlier versions kept those of any log there. */
    earlierRevocations: join(dir, 'revocations.json'),
  };
}

/** In files beside that of the log; in memory where it has none. */
export function storesBeside(target: Config['log'], failures: Failures): Stores {
  const files = target.kind === 'sqlite' ? filesBeside(target.path) : undefined;
  return {
    revocations: revocationFile(files?.revocations, files?.earlierRevocations),
    usage: usageFile(files?.contractUsers, (error) => failures.report('log', 'who used the contract cannot be read', error)),
  };
}
