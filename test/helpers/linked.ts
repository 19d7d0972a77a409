/** What the workers of one machine share, with the links of workers in this process: each over a socket of its own. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { revocationFile } from '../../src/auth/revocations-file.ts';
import type { EventLog } from '../../src/log/log.ts';
import { openSqliteFile, SqliteLog, type SqliteLogOptions } from '../../src/log/sqlite.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { usageFile } from '../../src/usage/usage-file.ts';
import { Calls } from '../../src/workers/calls.ts';
import { Channel } from '../../src/workers/channel.ts';
import { Link } from '../../src/workers/link.ts';
import { LogSwitch } from '../../src/workers/log-switch.ts';
import { Machine } from '../../src/workers/machine.ts';
import type { ToWorker } from '../../src/workers/messages.ts';
import { MachineMetrics } from '../../src/workers/metrics.ts';
import { temporaryFolder } from './folder.ts';

export interface LinkedWorker extends AsyncDisposable {
  readonly link: Link;
  /** Opens the worker's end of the embedded log. */
  log(options?: Partial<SqliteLogOptions>): EventLog;
  /** Its process is gone without a word. */
  crash(): void;
  /** It reads nothing until this is called again. */
  pause(): void;
  resume(): void;
}

export interface LinkedMachine extends AsyncDisposable {
  readonly metrics: MachineMetrics;
  start(): Promise<LinkedWorker>;
}

export async function startMachine(options: Partial<SqliteLogOptions> = {}): Promise<LinkedMachine> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(temporaryFolder());
  const path = options.path ?? folder.file('log.db');
  const server = createServer().listen(folder.file('socket'));
  await once(server, 'listening');
  stack.defer(async () => {
    server.close();
    await once(server, 'close');
  });
  const { port, opened } = await openSqliteFile({ path, ...options });
  const log = new LogSwitch(port, () => undefined);
  stack.use(new SqliteLog(log.own, opened, { path }));
  const metrics = new MachineMetrics({ running: () => started, health: () => machine.health() });
  let started = 0;
  const machine: Machine = stack.use(
    new Machine({
      welcome: { workers: 3, instance: randomUUID(), startedAt: Date.now(), contract: '' },
      embedded: {
        log,
        opened: () => opened,
        revocations: revocationFile(folder.file('revocations.json')),
        usage: usageFile(folder.file('users.json'), () => undefined),
      },
      metrics,
      logger: createLogger({ logLevel: 'silent', logFormat: 'json' }),
      workers: () => ({ startedAt: Date.now(), configured: 2, running: started, restarts: 0, problem: undefined, draining: false }),
      port: () => Promise.resolve({ port: 0, reusePort: true }),
      onListening: () => undefined,
      onEnding: () => undefined,
    }),
  );
  const start = async (): Promise<LinkedWorker> => {
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const socket = connect(folder.file('socket'));
    const [theirs] = await accepted;
    started += 1;
    machine.join(new Calls<ToWorker>(new Channel(theirs), `worker ${started}`), started);
    const link = await Link.open(socket, () => undefined);
    return {
      link,
      log: (own = {}) => new SqliteLog(link.logPort, opened, { path, ...own }),
      crash: () => socket.destroy(),
      pause: () => socket.pause(),
      resume: () => socket.resume(),
      [Symbol.asyncDispose]: async () => {
        if (socket.destroyed) return;
        const gone = once(theirs, 'close');
        link.end();
        await gone;
      },
    };
  };
  const resources = stack.move();
  return { metrics, start, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}
