/**
 * The worker that owns the SQLite file. Whatever appends are waiting go into one transaction, and its one sync
 * acknowledges them all. Commits and everything else take turns, one page at the most between two commits, so that
 * neither a replay nor a flood of publishes holds up the other.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { commitSize } from './group-commit.ts';
import type { Reply, Request, WorkerSettings } from './sqlite-messages.ts';
import { SqliteStore } from './sqlite-store.ts';

type Append = Extract<Request, { kind: 'append' }>;
type Other = Exclude<Request, Append>;

if (parentPort === null) throw new Error('this file runs as a worker');
const port = parentPort;
const reply = (message: Reply) => port.postMessage(message);
const appends: Append[] = [];
const others: Other[] = [];

try {
  const store = new SqliteStore(workerData as WorkerSettings);
  port.on('message', (request: Request) => {
    enqueue(request);
    drain(store);
  });
  reply({ kind: 'opened', epochs: store.epochs });
} catch (error) {
  reply({ kind: 'refused', message: error instanceof Error ? error.message : String(error) });
}

function enqueue(request: Request): void {
  if (request.kind === 'append') appends.push(request);
  else others.push(request);
}

function receiveWaiting(): void {
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) enqueue(next.message);
}

function drain(store: SqliteStore): void {
  receiveWaiting();
  while (appends.length > 0 || others.length > 0) {
    if (appends.length > 0) commit(store, appends.splice(0, commitSize(appends)));
    const other = others.shift();
    if (other !== undefined) serve(store, other);
    receiveWaiting();
  }
}

function commit(store: SqliteStore, batch: readonly Append[]): void {
  try {
    const placements = store.append(batch);
    reply({ kind: 'committed', appends: batch.map(({ id }, index) => ({ id, placements: placements[index] ?? [] })) });
  } catch (error) {
    reply({ kind: 'failed', ids: batch.map(({ id }) => id), of: 'append', message: messageOf(error) });
  }
}

function serve(store: SqliteStore, request: Other): void {
  const { id } = request;
  try {
    if (request.kind === 'read') reply({ kind: 'page', id, page: store.read(request) });
    else if (request.kind === 'bounds') reply({ kind: 'bounds', id, bounds: store.bounds });
    else if (request.kind === 'bytes') reply({ kind: 'bytes', id, bytes: store.bytes });
    else if (request.kind === 'trim') reply({ kind: 'trimmed', id, more: store.trim(request.before, request.limit, request.now) });
    else {
      store.close();
      reply({ kind: 'closed', id });
      port.close();
    }
  } catch (error) {
    reply({ kind: 'failed', ids: [id], of: request.kind, message: messageOf(error) });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
