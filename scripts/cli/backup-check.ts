/** Runs as a worker: looks through the file that it is given, and tells what it found. */
import { parentPort, workerData } from 'node:worker_threads';
import { inspectLogFile, type LogFile } from '../../src/log/sqlite/schema.ts';

export type Inspection = LogFile | { readonly problem: string };

function inspection(path: string): Inspection {
  try {
    return inspectLogFile(path);
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.postMessage(inspection(String(workerData)));
