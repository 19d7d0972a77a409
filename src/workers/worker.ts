/** Runs one worker of a gateway until its supervisor lets it drain, or is gone. */
import { Socket } from 'node:net';
import { type Config, ConfigError } from '../config.ts';
import type { Contract } from '../contract/contract.ts';
import { loadContract, readConfig } from '../contract-file.ts';
import { createGateway } from '../gateway.ts';
import { createLogger } from '../observe/logger.ts';
import { connectSentry } from '../observe/sentry.ts';
import { closed, EXIT, exit, firstUncaught } from '../process.ts';
import { contractHash } from '../version.ts';
import { Link } from './link.ts';
import { CHANNEL_FD } from './supervisor.ts';

/** How much longer than it may a drain can take before the worker ends all the same, in ms. */
const OVERDUE_MS = 1000;

/** Resolves to the exit code. */
export async function serveAsWorker(env: NodeJS.ProcessEnv): Promise<number> {
  // Without the supervisor there is no log, and nobody to hear of anything.
  const opening = Link.open(new Socket({ fd: CHANNEL_FD }), () => exit(EXIT.failed));
  // A terminal sends it to all of its processes.
  process.on('SIGINT', () => undefined);
  const terminated = new Promise<void>((resolve) => {
    process.once('SIGTERM', () => resolve());
  });
  // While the supervisor opens the log.
  const loading = load(env);
  const link = await opening;
  const signal = link.draining;
  const started = await start(loading, link).catch((error: unknown) => {
    if (!signal.aborted) link.ending(error instanceof ConfigError ? EXIT.misconfigured : EXIT.failed, problemsOf(error));
    return undefined;
  });
  if (started === undefined) {
    link.end();
    return signal.aborted ? EXIT.done : EXIT.failed;
  }
  const { config, gateway, logger, tracker } = started;
  link.listening(gateway.url);
  const failed = Promise.race([firstUncaught(gateway.failures), gateway.broken]).then(() => EXIT.failed);
  // The others go on.
  const leaving = terminated.then(() => signal.aborted || gateway.leavePort());
  const asked = Promise.race([leaving, whenAborted(signal)]).then(() => EXIT.done);
  const code = await Promise.race([failed, asked]);
  logger.info('draining');
  setTimeout(() => {
    logger.error(`draining took longer than ${config.drainMs / 1000} s`);
    void logger.close().then(() => exit(EXIT.failed));
  }, config.drainMs + OVERDUE_MS).unref();
  await gateway[Symbol.asyncDispose]();
  await tracker?.[Symbol.asyncDispose]();
  await link.handOver();
  link.end();
  return closed(logger, code);
}

interface Loaded {
  readonly config: Config;
  readonly contract: Contract;
}

async function load(env: NodeJS.ProcessEnv): Promise<Loaded> {
  const config = await readConfig(env);
  return { config, contract: await loadContract(config.contract) };
}

/** @throws why it cannot start. */
async function start(loading: Promise<Loaded>, link: Link) {
  const { config, contract } = await loading;
  const { worker, logLevel, contract: served } = link.welcome;
  if (contractHash(contract) !== served) {
    throw new ConfigError('COURIER_CONTRACT is another one than when the gateway began: put the file back, or start the gateway again');
  }
  await using stack = new AsyncDisposableStack();
  const logger = stack.adopt(
    createLogger({ ...config, logLevel }, { worker, isShared: true }),
    async (opened) => void (await opened.close()),
  );
  const stage = config.production ? 'production' : 'development';
  const tracker = config.sentryDsn === undefined ? undefined : stack.use(await connectSentry(config.sentryDsn, stage));
  const gateway = await createGateway(config, { contract, logger, onError: tracker?.onError, signal: link.draining, link });
  stack.move();
  return { config, gateway, logger, tracker };
}

function problemsOf(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.problems;
  return [`cannot start: ${error instanceof Error ? error.message : String(error)}`];
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
