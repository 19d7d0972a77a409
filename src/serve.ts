/** Reads the environment, starts the gateway, and turns signals into an orderly end and an exit code. */
import { developmentSecretPath } from './auth/development-secret.ts';
import { courier } from './commands.ts';
import { brokerLabel, logLabel } from './config/labels.ts';
import { type Config, ConfigError } from './config.ts';
import { loadContract, readConfig } from './contract-file.ts';
import { createGateway, type Gateway } from './gateway.ts';
import type { Failures } from './observe/failures.ts';
import { createLogger, type LogContext, type Logger } from './observe/logger.ts';
import { connectSentry, type ErrorTracker } from './observe/sentry.ts';
import { problemOfBuild } from './transport/dashboard-build.ts';
import { contractHash } from './version.ts';

/** Exit codes: 0 after an orderly end, 1 when something cannot be had or failed, 2 for a wrong value. */
const EXIT = { done: 0, failed: 1, misconfigured: 2 } as const;

/**
 * Runs a gateway until SIGTERM or SIGINT, or until an exception that nobody caught; a second signal ends it at once.
 * Resolves to the exit code.
 */
export async function serve(env: NodeJS.ProcessEnv): Promise<number> {
  let config: Config;
  try {
    config = await readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return refuse(error);
    throw error;
  }
  const logger = createLogger(config);
  // From here on: a supervisor that is told that it listens may end it at once.
  const signal = firstSignal();
  const starting = new AbortController();
  void signal.then((name) => starting.abort(name));
  let gateway: Gateway;
  let tracker: ErrorTracker | undefined;
  try {
    if (config.sentryDsn !== undefined) tracker = await connectSentry(config.sentryDsn, config.production ? 'production' : 'development');
    const contract = await loadContract(config.contract);
    gateway = await createGateway(config, { contract, logger, onError: tracker?.onError, signal: starting.signal });
  } catch (error) {
    await tracker?.[Symbol.asyncDispose]();
    if (starting.signal.aborted && error === starting.signal.reason) {
      logger.info(`${starting.signal.reason}: ended before it listened`);
      return closed(logger, EXIT.done);
    }
    return closed(logger, error instanceof ConfigError ? refuse(error) : fail(error));
  }
  logger.info(`listening on ${gateway.url}`, aboutGateway(config, gateway));
  const dashboardProblem = problemOfBuild();
  if (dashboardProblem !== undefined) logger.warn(dashboardProblem);
  if (!config.production && config.jwt.jwksUrl === undefined && config.jwt.secrets.length === 0) {
    const kept = developmentSecretPath(config.log);
    const how = `get a token with \`${courier('token --sub me --role admin')}\``;
    logger.info(
      kept === undefined
        ? 'development: nobody has the secret, which ends with the process: set COURIER_JWT_SECRET here and for the command to sign tokens'
        : `development: ${how} (secret kept in ${kept})`,
    );
  }
  const failed = Promise.race([firstUncaught(gateway.failures), gateway.broken]).then(() => {
    logger.info('draining, to end with 1');
    return EXIT.failed;
  });
  const signalled = signal.then((name) => {
    logger.info(`${name}: draining; a second signal ends at once`);
    return EXIT.done;
  });
  const code = await Promise.race([signalled, failed]);
  const overdue = setTimeout(() => {
    logger.error(`draining took longer than ${config.drainMs / 1000} s`);
    void logger.close().then(() => exit(EXIT.failed));
  }, config.drainMs + 1000).unref();
  await gateway[Symbol.asyncDispose]();
  await tracker?.[Symbol.asyncDispose]();
  clearTimeout(overdue);
  logger.info('stopped');
  return closed(logger, code);
}

/** Closes the log. Returns `code`, unless nobody reads the log: the process has ended with it then. */
async function closed(logger: Logger, code: number): Promise<number> {
  if (!(await logger.close())) exit(code);
  return code;
}

/** What it is and stands on, without a password. */
function aboutGateway(config: Config, { url, port, pipeline: { contract } }: Gateway): LogContext {
  return {
    url,
    port,
    base_path: config.basePath || '/',
    contract: `${contract.name} ${contractHash(contract)}`,
    log: logLabel(config.log),
    broker: brokerLabel(config.broker),
  };
}

/** Ends the process at once, though nobody reads what it has logged: what is to be done when a process exits would wait for that. */
function exit(code: number): never {
  process.removeAllListeners('exit');
  process.exit(code);
}

function refuse({ problems }: ConfigError): number {
  for (const problem of problems) process.stderr.write(`courier: ${problem}\n`);
  return EXIT.misconfigured;
}

function fail(error: unknown): number {
  process.stderr.write(`courier: cannot start: ${error instanceof Error ? error.message : String(error)}\n`);
  return EXIT.failed;
}

/** What nobody caught has left something in a state that nobody knows: the gateway drains and ends. */
function firstUncaught(failures: Failures): Promise<void> {
  return new Promise((resolve) => {
    const onUncaught = (error: unknown) => {
      failures.report('process', 'nobody caught this', error);
      resolve();
    };
    process.on('uncaughtException', onUncaught);
    process.on('unhandledRejection', onUncaught);
  });
}

function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let signalled = false;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (signalled) exit(EXIT.failed);
        signalled = true;
        resolve(signal);
      });
    }
  });
}
