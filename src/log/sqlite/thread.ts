/** Starts the thread that owns the file of a log. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { LogPort, Opened, Reply, WorkerSettings } from './messages.ts';
import { LogOpenError } from './schema.ts';

/** @throws {LogOpenError} */
export async function openThread(settings: WorkerSettings): Promise<{ readonly port: LogPort; readonly opened: Opened }> {
  // Sources run as they are, packages as JavaScript.
  const file = new URL(`./worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
  const worker = new Worker(file, { workerData: settings });
  const [reply] = (await Promise.race([
    once(worker, 'message'),
    once(worker, 'exit').then(() => [{ kind: 'refused', message: `the event log ${settings.path} cannot be opened: its worker ended` }]),
  ])) as [Reply];
  if (reply.kind !== 'opened') throw new LogOpenError(reply.kind === 'refused' ? reply.message : 'the worker does not answer');
  return { port: portOf(worker), opened: reply };
}

function portOf(worker: Worker): LogPort {
  return {
    post: (request) => worker.postMessage(request),
    listen: ({ onReply, onEnd }) => {
      worker.on('message', onReply);
      worker.on('error', onEnd);
      worker.on('exit', () => onEnd(undefined));
    },
    close: async () => {
      await worker.terminate();
    },
  };
}
