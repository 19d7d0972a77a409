/**
 * Configuration: the environment, parsed once into values with types. Nothing else reads `process.env`.
 * Every problem names its variable.
 */

import { ZodError } from 'zod';
import { MIN_SECRET_BYTES } from './auth/tokens.ts';
import { type Network, parseNetworks } from './connections/client-address.ts';
import { LOG_LEVELS, type LogLevel } from './contract/admin.ts';
import { type Limits, parseLimits } from './limits/limits.ts';
import { PostgresAddress } from './log/postgres-address.ts';
import { parseRedisAddress } from './redis/address.ts';
import { unknownVariable } from './unknown-variables.ts';

export type LogTarget =
  | { readonly kind: 'memory' }
  | { readonly kind: 'sqlite'; readonly path: string; readonly mustExist: boolean }
  | { readonly kind: 'postgres'; readonly url: string };
export type BrokerTarget = { readonly kind: 'local' } | { readonly kind: 'redis'; readonly url: string };

export interface Config {
  readonly production: boolean;
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly log: LogTarget;
  readonly broker: BrokerTarget;
  readonly retentionMs: number;
  readonly jwt: {
    /** The first signs, all check. None in development: a secret is then made once and kept beside the log. */
    readonly secrets: readonly string[];
    /** Public keys instead of secrets. */
    readonly jwksUrl: string | undefined;
    readonly issuer: string | undefined;
    readonly audience: string;
    /** How long a token may live. */
    readonly maxLifetimeMs: number;
  };
  /** Origins of browsers that may connect, beyond the gateway's own host. */
  readonly allowedOrigins: readonly string[];
  /** Proxies whose word about a client's address is taken. */
  readonly trustedProxies: readonly Network[];
  /** What every path begins with: empty, or such as `/courier`. */
  readonly basePath: string;
  readonly limits: Limits;
  readonly logLevel: LogLevel;
  readonly logFormat: 'json' | 'pretty';
  readonly drainMs: number;
  /** About a variable that begins as Courier's do and that nothing reads, if there is one: most likely it is misspelt. */
  readonly unknownVariable: string | undefined;
  /** Where failures are passed on to, if anywhere. */
  readonly sentryDsn: string | undefined;
}

/** A problem with the configuration; the message is one line that names the variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const DAY_MS = 24 * 60 * 60 * 1000;

function whole(min: number, max: number) {
  return (value: string): number => {
    const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max)) throw new ConfigError(`must be a whole number from ${min} to ${max}`);
    return number;
  };
}

/** Reads `COURIER_LOG`: `memory:`, `sqlite:PATH`, perhaps with `?mode=rw`, or `postgres://...`. @throws {ConfigError} */
export function parseLogTarget(value: string): LogTarget {
  if (value === 'memory:') return { kind: 'memory' };
  if (/^postgres(ql)?:\/\//.test(value)) return { kind: 'postgres', url: postgresUrl(value) };
  const [, path, parameters] = /^sqlite:([^?]+)(?:\?(.*))?$/s.exec(value) ?? [];
  if (path === undefined) throw new ConfigError('must be memory:, sqlite:PATH or postgres://user:password@host/database');
  return { kind: 'sqlite', path, mustExist: sqliteMode(parameters) === 'rw' };
}

/**
 * As SQLite's own addresses have it: `rw` takes a file that is there, `rwc` makes one where there is none. Others are not
 * repeated: what is behind a mistyped address may be a password.
 */
function sqliteMode(parameters: string | undefined): string {
  const mode = parameters === undefined ? 'rwc' : /^mode=(rwc?)$/.exec(parameters)?.[1];
  if (mode !== undefined) return mode;
  throw new ConfigError(
    `may have ?mode=rw (the file must be there) or ?mode=rwc (it is made) behind its path, and nothing else; a path cannot have a ? in it`,
  );
}

function postgresUrl(value: string): string {
  try {
    new PostgresAddress(value);
    return value;
  } catch (error) {
    if (error instanceof RangeError) throw new ConfigError(error.message);
    throw error;
  }
}

function brokerTarget(value: string): BrokerTarget {
  if (value === 'local') return { kind: 'local' };
  try {
    parseRedisAddress(value);
    return { kind: 'redis', url: value };
  } catch (error) {
    if (error instanceof RangeError) throw new ConfigError(error.message);
    throw error;
  }
}

function oneOf<T extends string>(values: readonly T[]) {
  return (value: string): T => {
    const found = values.find((candidate) => candidate === value);
    if (found === undefined) throw new ConfigError(`must be one of ${values.join(', ')}`);
    return found;
  };
}

/** Several secrets are separated by commas. */
function secrets(value: string): string[] {
  const all = value.split(',');
  for (const secret of all) {
    const bytes = Buffer.byteLength(secret);
    if (bytes < MIN_SECRET_BYTES) throw new ConfigError(`must be at least ${MIN_SECRET_BYTES} bytes long, and is ${bytes}`);
  }
  return all;
}

function httpUrl(value: string): string {
  const url = URL.parse(value);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new ConfigError('must be an http or https URL');
  return value;
}

/** Where public keys are to be had. */
function keysUrl(value: string): string {
  const { username, password } = new URL(httpUrl(value));
  // They would be logged, and fetch refuses them.
  if (`${username}${password}` !== '') throw new ConfigError('must not have a user or a password in it');
  return value;
}

/** A name or an address, as the system is asked for it. */
function host(value: string): string {
  const bare = /^\[(.*)\]$/.exec(value)?.[1];
  if (bare !== undefined) throw new ConfigError(`must be an address without brackets: ${bare}`);
  if (/[/\s@]/.test(value))
    throw new ConfigError('must be a name or an address such as 0.0.0.0, and no URL: the port is that of COURIER_PORT');
  return value;
}

/** Where a tracker takes errors: `https://key@host/project`. */
function sentryDsn(value: string): string {
  const url = URL.parse(httpUrl(value));
  if (!url?.username || !/\/\d+$/.test(url.pathname)) throw new ConfigError('must be a DSN such as https://key@host/1');
  return value;
}

/** A comma list of origins, as browsers write them. */
function origins(value: string): string[] {
  return value.split(',').map((item) => {
    const origin = item.trim();
    if (URL.parse(origin)?.origin !== origin)
      throw new ConfigError(`must be a comma list of origins such as https://app.example.org, and ${JSON.stringify(origin)} is none`);
    return origin;
  });
}

/** A comma list of addresses, networks and their names. */
function networks(value: string): Network[] {
  return value.split(',').flatMap((item) => {
    const found = parseNetworks(item.trim());
    if (found === undefined) {
      const forms = 'addresses, networks such as 10.0.0.0/8 or fd00::/8, loopback and private';
      throw new ConfigError(`must be a comma list of ${forms}, and ${JSON.stringify(item.trim())} is none`);
    }
    return found;
  });
}

/** A path as it is sent: nothing in it that anybody would encode, resolve or drop. */
function basePath(value: string): string {
  if (!/^(\/(?!\.{1,2}(\/|$))[\w.~-]+)+$/.test(value)) {
    throw new ConfigError(
      `must be a path such as /courier, of letters, digits and ._~-, without a slash at its end, not ${JSON.stringify(value)}`,
    );
  }
  return value;
}

function limits(value: string): Limits {
  try {
    return parseLimits(value);
  } catch (error) {
    if (error instanceof ZodError)
      throw new ConfigError(error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': ')).join('; '));
    throw new ConfigError('must be a JSON object');
  }
}

/**
 * Parses the environment.
 *
 * @throws {ConfigError} for the first variable that is wrong, or that nothing reads.
 */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const names: string[] = [];
  const read = <T>(name: string, fallback: string | undefined, parse: (value: string) => T): T | undefined => {
    names.push(name);
    const value = env[name] === undefined || env[name] === '' ? fallback : env[name];
    if (value === undefined) return undefined;
    try {
      return parse(value);
    } catch (error) {
      if (error instanceof ConfigError) throw new ConfigError(`${name} ${error.message}`);
      throw error;
    }
  };
  const required = <T>(name: string, fallback: string, parse: (value: string) => T): T => read(name, fallback, parse) as T;
  const production = env['NODE_ENV'] === 'production';
  const config: Config = {
    production,
    host: required('COURIER_HOST', '127.0.0.1', host),
    port: required('COURIER_PORT', '8766', whole(0, 65_535)),
    log: required('COURIER_LOG', 'sqlite:./data/courier.db', parseLogTarget),
    broker: required('COURIER_BROKER', 'local', brokerTarget),
    retentionMs: required('COURIER_RETENTION_DAYS', '7', whole(1, 3650)) * DAY_MS,
    jwt: {
      secrets: read('COURIER_JWT_SECRET', undefined, secrets) ?? [],
      jwksUrl: read('COURIER_JWKS_URL', undefined, keysUrl),
      issuer: read('COURIER_JWT_ISSUER', undefined, (value) => value),
      audience: required('COURIER_JWT_AUDIENCE', 'courier', (value) => value),
      maxLifetimeMs: required('COURIER_JWT_MAX_DAYS', '90', whole(1, 3650)) * DAY_MS,
    },
    allowedOrigins: read('COURIER_ALLOWED_ORIGINS', undefined, origins) ?? [],
    trustedProxies: read('COURIER_TRUSTED_PROXIES', undefined, networks) ?? [],
    basePath: read('COURIER_BASE_PATH', undefined, basePath) ?? '',
    limits: required('COURIER_LIMITS', '{}', limits),
    logLevel: required('COURIER_LOG_LEVEL', 'info', oneOf(LOG_LEVELS)),
    logFormat: required('COURIER_LOG_FORMAT', production ? 'json' : 'pretty', oneOf(['json', 'pretty'] as const)),
    sentryDsn: read('COURIER_SENTRY_DSN', undefined, sentryDsn),
    drainMs: required('COURIER_DRAIN_SECONDS', '30', whole(0, 3600)) * 1000,
    unknownVariable: unknownVariable(env, names),
  };
  if (config.broker.kind === 'redis' && config.log.kind !== 'postgres') {
    throw new ConfigError('COURIER_BROKER is for instances that share a log: COURIER_LOG must be postgres://... then');
  }
  if (config.jwt.jwksUrl !== undefined && config.jwt.secrets.length > 0) {
    throw new ConfigError('COURIER_JWKS_URL and COURIER_JWT_SECRET cannot both be set');
  }
  if (production && config.jwt.jwksUrl === undefined && config.jwt.secrets.length === 0) {
    throw new ConfigError('COURIER_JWT_SECRET or COURIER_JWKS_URL must be set when NODE_ENV is production');
  }
  return config;
}
