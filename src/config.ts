/**
 * Configuration: the environment, parsed once into values with types. Nothing else reads `process.env`. `config/variables.ts`
 * declares the variables, `config/formats.ts` how their values are written.
 */
import { availableParallelism } from 'node:os';
import type { z } from 'zod';
import { MAX_WORKERS } from './config/formats.ts';
import { isOfGateway, nearestName } from './config/names.ts';
import { environment } from './config/variables.ts';
import type { Contract } from './contract/contract.ts';
import { printable } from './errors.ts';
import { type ChannelRates, channelRates } from './limits/channels.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

type Name = keyof typeof environment.shape;

/** A rule for several variables is asked where each of them is right by itself. */
const ifRight =
  (...names: readonly Name[]) =>
  ({ issues }: z.core.ParsePayload) =>
    !issues.some(({ path }) => names.some((name) => name === path?.[0]));

const configuration = environment
  .refine(({ COURIER_BROKER, COURIER_LOG }) => COURIER_BROKER.kind === 'local' || COURIER_LOG.kind === 'postgres', {
    when: ifRight('COURIER_BROKER', 'COURIER_LOG'),
    path: ['COURIER_BROKER'],
    error: 'is for instances that share a log: COURIER_LOG must be postgres://... then',
  })
  .refine(({ COURIER_JWKS_URL, COURIER_JWT_SECRET }) => COURIER_JWKS_URL === undefined || COURIER_JWT_SECRET === undefined, {
    when: ifRight('COURIER_JWKS_URL', 'COURIER_JWT_SECRET'),
    path: ['COURIER_JWKS_URL'],
    error: 'and COURIER_JWT_SECRET cannot both be set',
  })
  .refine((env) => !isProduction(env) || env.COURIER_JWT_SECRET !== undefined || env.COURIER_JWKS_URL !== undefined, {
    when: ifRight('COURIER_JWKS_URL', 'COURIER_JWT_SECRET'),
    path: ['COURIER_JWT_SECRET'],
    error: 'or COURIER_JWKS_URL must be set when NODE_ENV is production',
  })
  .refine(({ COURIER_WORKERS, COURIER_LOG }) => COURIER_WORKERS === 'auto' || COURIER_WORKERS === 1 || COURIER_LOG.kind !== 'memory', {
    when: ifRight('COURIER_WORKERS', 'COURIER_LOG'),
    path: ['COURIER_WORKERS'],
    error: 'must be 1 with COURIER_LOG=memory:, which one process has to itself: keep the log in a file (sqlite:PATH)',
  })
  .transform(
    (env) =>
      ({
        production: isProduction(env),
        host: env.COURIER_HOST,
        /** 0 for any free port. */
        port: env.COURIER_PORT,
        /** What every path begins with: empty, or such as `/courier`. */
        basePath: env.COURIER_BASE_PATH ?? '',
        /** The file of the contract; Lumiere's when undefined. */
        contract: env.COURIER_CONTRACT,
        log: env.COURIER_LOG,
        broker: env.COURIER_BROKER,
        /** Processes that take connections. */
        workers: workersOf(env.COURIER_WORKERS, env.COURIER_LOG.kind),
        retentionMs: env.COURIER_RETENTION_DAYS * DAY_MS,
        /** How long the state of a thing is kept once it has ended: longer than its events, of which it may be made anew. */
        stateMs: Math.max(env.COURIER_STATE_DAYS, env.COURIER_RETENTION_DAYS + 1) * DAY_MS,
        jwt: {
          /** The first signs, all check. None in development: a secret is then made once and kept beside the log. */
          secrets: env.COURIER_JWT_SECRET ?? [],
          /** Public keys instead of secrets. */
          jwksUrl: env.COURIER_JWKS_URL,
          issuer: env.COURIER_JWT_ISSUER,
          audience: env.COURIER_JWT_AUDIENCE,
          /** How long a token may live. */
          maxLifetimeMs: env.COURIER_JWT_MAX_DAYS * DAY_MS,
        },
        /** Origins of browsers that may connect, beyond the gateway's own host. */
        allowedOrigins: env.COURIER_ALLOWED_ORIGINS ?? [],
        /** Proxies whose word about a client's address is taken. */
        trustedProxies: env.COURIER_TRUSTED_PROXIES ?? [],
        limits: env.COURIER_LIMITS,
        logLevel: env.COURIER_LOG_LEVEL,
        logFormat: env.COURIER_LOG_FORMAT ?? (isProduction(env) ? 'json' : 'pretty'),
        /** How long a server of the log that is away is waited for at the start. */
        startMs: env.COURIER_START_SECONDS * 1000,
        drainMs: env.COURIER_DRAIN_SECONDS * 1000,
        /** Where failures are passed on to, if anywhere. */
        sentryDsn: env.COURIER_SENTRY_DSN,
      }) as const,
  );

export type Config = z.output<typeof configuration>;

/** The log keeps one core busy; one in memory has one process to itself. */
function workersOf(asked: number | 'auto', log: 'memory' | 'sqlite' | 'postgres'): number {
  if (asked !== 'auto') return asked;
  return log === 'memory' ? 1 : Math.min(MAX_WORKERS, Math.max(1, availableParallelism() - 1));
}

function isProduction({ NODE_ENV }: { readonly NODE_ENV?: string | undefined }): boolean {
  return NODE_ENV === 'production';
}

/** The configuration is wrong. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** Each is one line that begins with the name of a variable. */
  readonly problems: readonly string[];

  constructor(problems: string | readonly string[], options?: ErrorOptions) {
    // Names and values are whatever stands in the environment.
    const all = [problems].flat().map(printable);
    super(all.join('; '), options);
    this.problems = all;
  }
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Parses the environment. An empty variable counts as not set.
 *
 * @param options.unknown whether variables that begin as Courier's do, and that nothing reads, are refused, as a gateway does
 * it; commands pass over them.
 * @throws {ConfigError} with every variable that is wrong or refused.
 */
export function parseConfig(env: Environment, { unknown = 'refuse' }: { readonly unknown?: 'refuse' | 'pass-over' } = {}): Config {
  const set = Object.entries(env).filter(([name, value]) => value && Object.hasOwn(environment.shape, name));
  const { data, error } = configuration.safeParse(Object.fromEntries(set));
  const wrong = error?.issues.map(({ path, message }) => `${String(path[0])} ${message}`) ?? [];
  // The unknown first: what is missing may be misspelt.
  const problems = unknown === 'refuse' ? [...unknownVariables(env), ...wrong] : wrong;
  if (data === undefined || problems.length > 0) throw new ConfigError(problems);
  return data;
}

/** A line for each variable that begins as Courier's do, and that nothing reads: most likely it is misspelt. */
export function unknownVariables(env: Environment): string[] {
  const known = Object.keys(environment.shape);
  const names = Object.keys(env).filter((name) => env[name] && isOfGateway(name, env[name]) && !known.includes(name));
  return names.map((name) => `${name} is no variable of Courier: is ${nearestName(name, known)} meant? Otherwise unset it`);
}

/** The limits of channels, for those of the contract. @throws {ConfigError} naming each whose channels it does not have. */
export function limitsOfChannels(
  { limits }: { readonly limits: Pick<Config['limits'], 'channels'> },
  { channels }: Contract,
): ChannelRates | undefined {
  try {
    return channelRates(channels, limits.channels);
  } catch (error) {
    if (!(error instanceof AggregateError)) throw error;
    throw new ConfigError(
      error.errors.map(({ message }: RangeError) => `COURIER_LIMITS ${message}`),
      { cause: error },
    );
  }
}
