/** The process of a worker, which the supervisor starts. */
import './require-node.js';
import { serveAsWorker } from './workers/worker.ts';

process.exitCode = await serveAsWorker(process.env);
// A contract's module may keep something open.
setTimeout(() => process.exit(), 1000).unref();
