/** Reads the environment, starts the gateway, and turns signals into an orderly end and an exit code. */
import { developmentSecretPath } from './auth/development-secret.ts';
import { courier } from './commands.ts';
import { brokerLabel, logLabel } from './config/labels.ts';
import { type Config, ConfigError } from './config.ts';
import type { Contract } from './contract/contract.ts';
import { loadContract, readConfig } from './contract-file.ts';
import { createLogger, type LogContext } from './observe/logger.ts';
import { connectSentry, type ErrorTracker } from './observe/sentry.ts';
import { closed, EXIT, exit, firstSignal, firstUncaught, tellProblems } from './process.ts';
import { problemOfBuild } from './transport/dashboard-build.ts';
import { contractHash } from './version.ts';
import type { Running } from './workers/gateway.ts';
import { WorkerStartError } from './workers/start-error.ts';

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
  const logger = createLogger(config, { isShared: config.workers > 1 });
  // From here on: a supervisor that is told that it listens may end it at once.
  const signal = firstSignal();
  const starting = new AbortController();
  void signal.then((name) => starting.abort(name));
  let gateway: Running;
  let about: LogContext;
  let tracker: ErrorTracker | undefined;
  try {
    if (config.sentryDsn !== undefined) tracker = await connectSentry(config.sentryDsn, config.production ? 'production' : 'development');
    const contract = await loadContract(config.contract);
    const options = { contract, logger, onError: tracker?.onError, signal: starting.signal };
    // Each is loaded where it is needed: the supervisor serves nobody.
    gateway =
      config.workers > 1
        ? await (await import('./workers/gateway.ts')).createWorkers(config, options)
        : await (await import('./gateway.ts')).createGateway(config, options);
    about = aboutGateway(config, gateway, contract);
  } catch (error) {
    await tracker?.[Symbol.asyncDispose]();
    if (starting.signal.aborted && error === starting.signal.reason) {
      logger.info(`${starting.signal.reason}: ended before it listened`);
      return closed(logger, EXIT.done);
    }
    return closed(logger, whyNot(error));
  }
  logger.info(`listening on ${gateway.url}`, about);
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

/** What it is and stands on, without a password. */
function aboutGateway(config: Config, { url, port }: Running, contract: Contract): LogContext {
  return {
    url,
    port,
    base_path: config.basePath || '/',
    contract: `${contract.name} ${contractHash(contract)}`,
    log: logLabel(config.log),
    broker: brokerLabel(config.broker),
    workers: config.workers,
  };
}

/** Tells why it does not start. Returns the exit code. */
function whyNot(error: unknown): number {
  if (error instanceof ConfigError) return refuse(error);
  if (!(error instanceof WorkerStartError)) return fail(error);
  tellProblems(error.problems.length > 0 ? error.problems : [`cannot start: ${error.message}`]);
  return error.code;
}

function refuse({ problems }: ConfigError): number {
  tellProblems(problems);
  return EXIT.misconfigured;
}

function fail(error: unknown): number {
  tellProblems([`cannot start: ${error instanceof Error ? error.message : String(error)}`]);
  return EXIT.failed;
}
