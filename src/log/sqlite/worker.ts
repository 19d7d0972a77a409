/**
 * The worker that owns the SQLite file. Whatever appends are waiting go into one transaction, and its one sync
 * acknowledges them all. Commits and everything else take turns, so that neither a replay nor a flood of publishes holds up the
 * other: a page ends early when something is to be committed. While the file is copied, each turn waits for a step of that.
 */
import type { BackupProgressInfo } from 'node:sqlite';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { commitSize, type Weight } from '../group-commit.ts';
import { type Append, readAppends } from './append-frames.ts';
import type { Answers, Failure, Reply, Request, WorkerSettings } from './messages.ts';
import { packAnswer, packPage, unpackCall } from './packing.ts';
import { isReadOnly, READ_ONLY } from './rights.ts';
import { messageOf, openProblem } from './schema.ts';
import { SqliteStore } from './store.ts';

type Other = Exclude<Request, { kind: 'append' }>;

/** Appends that were sent together, and are stored together. */
interface Together extends Weight {
  readonly appends: readonly Append[];
}

/** A copy that is being made. */
interface Copying {
  readonly id: number;
  readonly abandon: AbortController;
  /** Resolves when it has ended, in whatever way. */
  readonly ended: Promise<void>;
}

/** Primary result codes of SQLite (the lowest byte of each extended one) that a caller may be told of. */
const PRIMARY_CODE = 0xff;
const REASONS: ReadonlyMap<number, string> = new Map([
  // Of statements that never change: the tables that they name are gone.
  [1, 'the file is damaged; restore a copy'],
  [8, 'its file cannot be written'],
  [10, 'the disk fails'],
  [11, 'the file is damaged; restore a copy'],
  [13, 'the disk is full'],
  [26, 'the file is damaged; restore a copy'],
]);

if (parentPort === null) throw new Error('this file runs as a worker');
const port = parentPort;
const settings = workerData as WorkerSettings;
const { path } = settings;
const reply = (message: Reply) => port.postMessage(message);
const appends: Together[] = [];
const others: Other[] = [];
let copying: Copying | undefined;
/** The question that the last copy was made for, until that was read. */
let copyTaken: number | undefined;

try {
  const store = new SqliteStore(settings);
  port.on('message', (request: Request) => {
    enqueue(request);
    takeTurns(store);
  });
  reply({ kind: 'opened', epochs: store.epochs, knownMs: store.knownMs });
} catch (error) {
  reply({ kind: 'refused', message: openProblem(error) });
}

function enqueue(request: Request): void {
  if (request.kind !== 'append') {
    others.push(request);
    return;
  }
  const { frame, count, bytes } = request;
  appends.push({ appends: readAppends(frame), count, bytes });
}

function receiveWaiting(): void {
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) enqueue(next.message);
}

function hasAppends(): boolean {
  receiveWaiting();
  return appends.length > 0;
}

function takeTurns(store: SqliteStore): void {
  receiveWaiting();
  while (copying === undefined && (appends.length > 0 || others.length > 0)) {
    takeTurn(store);
    receiveWaiting();
  }
}

function takeTurn(store: SqliteStore): void {
  if (appends.length > 0) commit(store, appends.splice(0, commitSize(appends)));
  const other = others.shift();
  if (other !== undefined) serve(store, other);
}

function commit(store: SqliteStore, batch: readonly Together[]): void {
  const all = batch.flatMap((together) => together.appends);
  try {
    reply({ kind: 'committed', appends: all.length, ...store.append(all) });
  } catch (error) {
    reply({ kind: 'failed', appends: all.length, ...failureOf(error) });
  }
}

function serve(store: SqliteStore, request: Other): void {
  const { id, kind } = request;
  try {
    if (request.kind === 'read') answer<'read'>(id, packPage(store.read(request, request.givesWay ? hasAppends : undefined)));
    else if (request.kind === 'trim') answer<'trim'>(id, store.trim(request.keepMs, request.limit, request.now));
    else if (request.kind === 'states') answer<'states'>(id, packAnswer(request.call, store.states.call(unpackCall(request.call))));
    else if (request.kind === 'stored-at') answer<'stored-at'>(id, store.storedAt(request.seqs));
    else if (kind === 'bounds') answer<'bounds'>(id, store.look());
    else if (kind === 'bytes') answer<'bytes'>(id, store.bytes);
    else if (kind === 'probe') answer<'probe'>(id, store.probe());
    else if (kind === 'copy') copy(store, id);
    else if (kind === 'close') void close(store, id);
    else if (kind === 'abandon-copy' && copying?.id === id) copying.abandon.abort();
    else if (kind === 'release-copy' && copyTaken === id) copyTaken = undefined;
  } catch (error) {
    reply({ kind: 'failed', id, of: kind, ...failureOf(error) });
  }
}

function answer<K extends keyof Answers>(id: number, value: Answers[K]): void {
  reply({ kind: 'answer', id, value });
}

/** Its path is one: there is one copy at a time, from the question until it was read. */
function copy(store: SqliteStore, id: number): void {
  if (copying !== undefined || copyTaken !== undefined) answer<'copy'>(id, { isBusy: true });
  else copying = beginCopy(store, id);
}

/**
 * While the copy is made the turns come between its steps, and for each page that was added two are copied before the next turn: it
 * ends before the file has doubled, however much is published.
 */
function beginCopy(store: SqliteStore, id: number): Copying {
  const abandon = new AbortController();
  const { signal } = abandon;
  let pagesAhead = Number.POSITIVE_INFINITY;
  const onStep = ({ totalPages, remainingPages }: BackupProgressInfo) => {
    // A page that is added counts in both.
    if (totalPages + remainingPages >= pagesAhead) return;
    pagesAhead = totalPages + remainingPages;
    receiveWaiting();
    takeTurn(store);
  };
  const ended = store
    .copy({ signal, onStep })
    .then((path) => {
      copyTaken = id;
      answer<'copy'>(id, { path });
    })
    .catch((error: unknown) => {
      if (signal.aborted) answer<'copy'>(id, { isBusy: false });
      else reply({ kind: 'failed', id, of: 'copy', ...failureOf(error) });
    })
    .finally(() => {
      copying = undefined;
      takeTurns(store);
    });
  return { id, abandon, ended };
}

async function close(store: SqliteStore, id: number): Promise<void> {
  copying?.abandon.abort();
  await copying?.ended;
  store.close();
  answer<'close'>(id, undefined);
  port.close();
}

function failureOf(error: unknown): Failure {
  const detail = messageOf(error);
  if (!(error instanceof Error && 'code' in error)) return { reason: detail, detail };
  if (isReadOnly(path)) return { reason: READ_ONLY, detail };
  if ('syscall' in error) return { reason: `no file can be written beside its own (${error.code})`, detail };
  const reason = 'errcode' in error ? REASONS.get(Number(error.errcode) & PRIMARY_CODE) : undefined;
  return { reason: reason ?? 'its file cannot be used', detail };
}
