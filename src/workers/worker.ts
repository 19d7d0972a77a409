/** Runs one worker of a gateway until its supervisor lets it drain, or is gone. */
import { Socket } from 'node:net';
import { ConfigError } from '../config.ts';
import { loadContract, readConfig } from '../contract-file.ts';
import { createGateway } from '../gateway.ts';
import { createLogger } from '../observe/logger.ts';
import { connectSentry } from '../observe/sentry.ts';
import { closed, EXIT, exit, firstUncaught } from '../process.ts';
import { Link } from './link.ts';
import { CHANNEL_FD } from './supervisor.ts';

/** Resolves to the exit code. */
export async function serveAsWorker(env: NodeJS.ProcessEnv): Promise<number> {
  // Without the supervisor there is no log, and nobody to hear of anything.
  const opening = Link.open(new Socket({ fd: CHANNEL_FD }), () => exit(EXIT.failed));
  // A terminal sends it to all of its processes.
  process.on('SIGINT', () => undefined);
  const terminated = new Promise<void>((resolve) => {
    process.once('SIGTERM', () => resolve());
  });
  const config = await readConfig(env);
  const contract = await loadContract(config.contract);
  const link = await opening;
  const { worker } = link.welcome;
  const logger = createLogger(config, { worker, isShared: true });
  const tracker =
    config.sentryDsn === undefined ? undefined : await connectSentry(config.sentryDsn, config.production ? 'production' : 'development');
  const signal = link.draining;
  const gateway = await createGateway(config, { contract, logger, onError: tracker?.onError, signal, link }).catch((error: unknown) => {
    if (signal.aborted) return undefined;
    link.ending(error instanceof ConfigError ? EXIT.misconfigured : EXIT.failed, problemsOf(error));
    return null;
  });
  if (!gateway) {
    await tracker?.[Symbol.asyncDispose]();
    link.end();
    return closed(logger, gateway === null ? EXIT.failed : EXIT.done);
  }
  link.listening(gateway.url);
  const failed = Promise.race([firstUncaught(gateway.failures), gateway.broken]).then(() => EXIT.failed);
  // The others go on.
  const leaving = terminated.then(() => signal.aborted || gateway.leavePort());
  const asked = Promise.race([leaving, whenAborted(signal)]).then(() => EXIT.done);
  const code = await Promise.race([failed, asked]);
  logger.info('draining');
  await gateway[Symbol.asyncDispose]();
  await tracker?.[Symbol.asyncDispose]();
  link.end();
  return closed(logger, code);
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
