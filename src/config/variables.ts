/**
 * The variables of the environment: one declaration for each, from which follow its value and type, its errors, its row in the
 * README and its paragraph in `courier serve --help`. Backticks in descriptions mark code.
 */
import { z } from 'zod';
import { LOG_LEVELS } from '../contract/admin.ts';
import {
  basePath,
  brokerTarget,
  host,
  keysUrl,
  limits,
  logTarget,
  networks,
  oneOf,
  origins,
  path,
  secrets,
  sentryDsn,
  wholeNumber,
  workers,
} from './formats.ts';

interface Documentation {
  readonly description: string;
  /** Where to read more, in the repository. */
  readonly more?: string;
}

/** What people are told of a variable. */
export interface Variable extends Documentation {
  readonly name: string;
  /** What its value must be; undefined where any text does. */
  readonly form: string | undefined;
  readonly default: { readonly value: string } | { readonly inWords: string };
}

const documented = z.registry<Omit<Variable, 'name'>>();

/** A variable that has this default. */
function withDefault<S extends z.ZodType<unknown, string>>(format: S, value: z.input<S> & string, documentation: Documentation) {
  const variable = format.prefault(value);
  documented.add<z.ZodType>(variable, { ...documentation, form: format.description, default: { value } });
  return variable;
}

/** A variable that may have no value; `inWords` says what holds then. */
function optional<S extends z.ZodType<unknown, string>>(format: S, inWords: string, documentation: Documentation) {
  const variable = format.optional();
  documented.add<z.ZodType>(variable, { ...documentation, form: format.description, default: { inWords } });
  return variable;
}

const days = wholeNumber(1, 3650);

/** The environment, as far as the gateway reads it; an empty variable has to be left out before. */
export const environment = z.object({
  COURIER_HOST: withDefault(host, '127.0.0.1', {
    description: 'The address to listen on; `0.0.0.0` is every IPv4 address of the machine, `::` every address.',
  }),
  COURIER_PORT: withDefault(wholeNumber(0, 65_535), '8766', {
    description: 'The port to listen on; 0 takes any free port.',
  }),
  COURIER_BASE_PATH: optional(basePath, 'none', {
    description: 'The path that every address of the gateway begins with.',
    more: 'OPERATIONS.md#behind-proxies',
  }),
  COURIER_CONTRACT: optional(path, "Lumiere's", {
    description:
      'The file of the contract that the gateway serves: a module whose default export `defineContract` made. The path begins at the working directory.',
    more: 'README.md#your-own-contract',
  }),
  COURIER_LOG: withDefault(logTarget, 'sqlite:./data/courier.db', {
    description:
      'Where events are stored: in an SQLite file, in a PostgreSQL database, which several instances can share, or in memory, to try things out. With `?mode=rw` after the path the SQLite file must exist; without it the gateway makes one.',
    more: 'OPERATIONS.md#start-and-stop',
  }),
  COURIER_BROKER: withDefault(brokerTarget, 'local', {
    description:
      'How instances tell each other of new events. One instance uses `local`; several use Redis, and share a log in PostgreSQL.',
    more: 'OPERATIONS.md#several-instances',
  }),
  COURIER_WORKERS: withDefault(workers, '1', {
    description:
      'How many processes take connections, on one port and with one log: `auto` is one for each core but one, which the log has.',
    more: 'OPERATIONS.md#workers',
  }),
  COURIER_RETENTION_DAYS: withDefault(days, '7', {
    description: 'How many days events are kept.',
  }),
  COURIER_STATE_DAYS: withDefault(days, '30', {
    description:
      'How many days the state of a thing is kept once it has ended, such as that of an order that was filled; a day longer than events at least.',
    more: 'OPERATIONS.md#state',
  }),
  COURIER_JWT_SECRET: optional(secrets, 'made once in development, and kept beside the log', {
    description:
      'The HS256 secrets that tokens are checked with; the command line signs with the first. In production this or `COURIER_JWKS_URL` must be set.',
    more: 'SECURITY.md#the-operators-part',
  }),
  COURIER_JWKS_URL: optional(keysUrl, 'none', {
    description: "Where the public keys of the tokens' issuer are fetched from (RS256, ES256, EdDSA); replaces `COURIER_JWT_SECRET`.",
    more: 'SECURITY.md#the-operators-part',
  }),
  COURIER_JWT_ISSUER: optional(z.string(), 'not checked', {
    description: 'The issuer (`iss`) that tokens must name.',
  }),
  COURIER_JWT_AUDIENCE: withDefault(z.string(), 'courier', {
    description: 'The audience (`aud`) that tokens must name.',
  }),
  COURIER_JWT_MAX_DAYS: withDefault(days, '90', {
    description: 'How many days a token may be valid. Revocations are kept as long.',
  }),
  COURIER_ALLOWED_ORIGINS: optional(origins, "the gateway's own host", {
    description: "The origins whose pages may connect from a browser, besides the gateway's own host.",
  }),
  COURIER_TRUSTED_PROXIES: optional(networks, 'none', {
    description: "The proxies whose `X-Forwarded-For` or `Forwarded` header gives the client's address.",
    more: 'OPERATIONS.md#behind-proxies',
  }),
  COURIER_LIMITS: withDefault(limits, '{}', {
    description:
      'Limits that replace the standard ones, for each role, for single users, for channels and for the gateway: `{"user": {"connections": 20}}` allows a user 20 connections, `null` is no limit.',
    more: 'SECURITY.md#limits',
  }),
  COURIER_LOG_LEVEL: withDefault(oneOf(LOG_LEVELS), 'info', {
    description: 'The lowest level that is logged.',
  }),
  COURIER_LOG_FORMAT: optional(oneOf(['json', 'pretty']), 'json in production, else pretty', {
    description: 'How log lines are written: as JSON, or for people.',
  }),
  COURIER_START_SECONDS: withDefault(wholeNumber(0, 3600), '30', {
    description: 'How many seconds the gateway waits, at the start, for PostgreSQL while that is away; 0 does not wait.',
    more: 'OPERATIONS.md#start-and-stop',
  }),
  COURIER_DRAIN_SECONDS: withDefault(wholeNumber(0, 3600), '30', {
    description: 'How many seconds a drain, the orderly end of the gateway, may take.',
    more: 'OPERATIONS.md#start-and-stop',
  }),
  COURIER_SENTRY_DSN: optional(sentryDsn, 'none', {
    description: 'The error tracker that failures are sent to. It needs the package `@sentry/node`.',
    more: 'OPERATIONS.md#errors',
  }),
  NODE_ENV: optional(z.string(), 'development', {
    description: 'The gateway runs in production when this is `production`, and in development otherwise.',
  }),
});

/** In the order in which they are shown. */
export const VARIABLES: readonly Variable[] = Object.entries(environment.shape).map(([name, schema]) => {
  const documentation = documented.get(schema);
  if (documentation === undefined) throw new Error(`${name} has no description`);
  return { name, ...documentation };
});
