/**
 * The formats of values: schemas that turn the text of a variable into a value. The description of each says what the text
 * must be, in words that follow "must be"; so do the errors, which the caller puts the variable's name before. No error repeats
 * a password or a secret.
 */
import { z } from 'zod';
import { MIN_SECRET_BYTES } from '../auth/tokens.ts';
import { type Network, parseNetworks } from '../connections/client-address.ts';
import { type Limits, parseLimits } from '../limits/limits.ts';
import { PostgresAddress } from '../log/postgres/address.ts';
import { BROKER_FORM, parseRedisAddress } from '../redis/address.ts';

export type LogTarget =
  | { readonly kind: 'memory' }
  | { readonly kind: 'sqlite'; readonly path: string; readonly mustExist: boolean }
  | { readonly kind: 'postgres'; readonly url: string };
export type BrokerTarget = { readonly kind: 'local' } | { readonly kind: 'redis'; readonly url: string };

/**
 * A format of text that is not any text.
 *
 * @param form what the text must be.
 * @param parse returns undefined where the text is something else, or throws RangeError with what is wrong in particular,
 * or AggregateError with several.
 */
function format<T>(form: string, parse: (text: string) => T | undefined) {
  const schema = z.string().transform((text, context): T => {
    try {
      const value = parse(text);
      if (value !== undefined) return value;
      context.addIssue(`must be ${form}`);
    } catch (error) {
      const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
      for (const one of errors) {
        if (!(one instanceof RangeError)) throw one;
        context.addIssue(one.message);
      }
    }
    return z.NEVER;
  });
  return schema.describe(form);
}

export function wholeNumber(min: number, max: number) {
  return format(`a whole number from ${min} to ${max}`, (text) => {
    if (/^tcp:\/\//.test(text)) throw new RangeError('was set by Kubernetes, for a service named courier: set enableServiceLinks: false');
    const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    return number >= min && number <= max ? number : undefined;
  });
}

/** Workers of one gateway, at most. */
export const MAX_WORKERS = 64;

export const workers = format(`auto, or a whole number from 1 to ${MAX_WORKERS}`, (text): number | 'auto' | undefined => {
  const number = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  return text === 'auto' ? text : number >= 1 && number <= MAX_WORKERS ? number : undefined;
});

export function oneOf<const T extends readonly string[]>(values: T) {
  const form = `one of ${values.join(', ')}`;
  return z.enum(values, { error: `must be ${form}` }).describe(form);
}

/** The path of a module, as Node.js imports it. */
export const path = format('the path of a TypeScript or JavaScript file', (text) => (/\.[cm]?[jt]s$/.test(text) ? text : undefined));

const HOST_FORM = 'a name or an address such as 0.0.0.0';

/** A name or an address, as the system is asked for it. */
export const host = format(HOST_FORM, (text) => {
  const bare = /^\[([\da-f:.]*)\]$/i.exec(text)?.[1];
  if (bare !== undefined) throw new RangeError(`must be an address without brackets: ${bare}`);
  if (/[/\s@[\]]/.test(text)) throw new RangeError(`must be ${HOST_FORM}, and no URL: the port is that of COURIER_PORT`);
  return text;
});

/** `memory:`, `sqlite:PATH`, perhaps with `?mode=rw`, or `postgres://...`. */
export const logTarget = format<LogTarget>('memory:, sqlite:PATH or postgres://user:password@host/database', (text) => {
  if (text === 'memory:') return { kind: 'memory' };
  if (/^postgres(ql)?:\/\//.test(text)) {
    new PostgresAddress(text);
    return { kind: 'postgres', url: text };
  }
  const [, path, parameters] = /^sqlite:([^?]+)(?:\?(.*))?$/s.exec(text) ?? [];
  return path === undefined ? undefined : { kind: 'sqlite', path, mustExist: sqliteMode(parameters) === 'rw' };
});

/**
 * As SQLite's own addresses have it: `rw` takes a file that is there, `rwc` makes one where there is none. Others are not
 * repeated: what is behind a mistyped address may be a password.
 */
function sqliteMode(parameters: string | undefined): string {
  const mode = parameters === undefined ? 'rwc' : /^mode=(rwc?)$/.exec(parameters)?.[1];
  if (mode !== undefined) return mode;
  throw new RangeError(
    'may have ?mode=rw (the file must be there) or ?mode=rwc (it is made) behind its path, and nothing else; a path cannot have a ? in it',
  );
}

export const brokerTarget = format<BrokerTarget>(BROKER_FORM, (text) => {
  if (text === 'local') return { kind: 'local' };
  parseRedisAddress(text);
  return { kind: 'redis', url: text };
});

export const secrets = format<readonly string[]>(`a comma list of secrets of at least ${MIN_SECRET_BYTES} bytes`, (text) => {
  const all = text.split(',');
  for (const secret of all) {
    const bytes = Buffer.byteLength(secret);
    if (bytes < MIN_SECRET_BYTES) throw new RangeError(`must be at least ${MIN_SECRET_BYTES} bytes long, and is ${bytes}`);
  }
  return all;
});

const URL_FORM = 'an http or https URL';

function httpUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new RangeError(`must be ${URL_FORM}`);
  return url;
}

/** Where public keys are fetched from. */
export const keysUrl = format(URL_FORM, (text) => {
  const { username, password } = httpUrl(text);
  // They would be logged, and fetch refuses them.
  if (`${username}${password}` !== '') throw new RangeError('must not have a user or a password in it');
  return text;
});

/** Where an error tracker takes errors: `https://key@host/project`. */
export const sentryDsn = format('a DSN such as https://key@host/1', (text) => {
  const url = httpUrl(text);
  return url.username && /\/\d+$/.test(url.pathname) ? text : undefined;
});

const ORIGINS_FORM = 'a comma list of origins such as https://app.example.org';

/** Origins as browsers write them. */
export const origins = format<readonly string[]>(ORIGINS_FORM, (text) =>
  text.split(',').map((item) => {
    const origin = item.trim();
    if (URL.parse(origin)?.origin !== origin) throw new RangeError(`must be ${ORIGINS_FORM}, and ${quoted(origin)} is none`);
    return origin;
  }),
);

const NETWORKS_FORM = 'a comma list of addresses, networks such as 10.0.0.0/8 or fd00::/8, loopback and private';

export const networks = format<readonly Network[]>(NETWORKS_FORM, (text) =>
  text.split(',').flatMap((item) => {
    const found = parseNetworks(item.trim());
    if (found === undefined) throw new RangeError(`must be ${NETWORKS_FORM}, and ${quoted(item.trim())} is none`);
    return found;
  }),
);

const BASE_PATH_FORM = 'a path such as /courier, of letters, digits and ._~-, without a slash at its end';

/** A path as it is sent: nothing in it that anybody would encode, resolve or drop. */
export const basePath = format(BASE_PATH_FORM, (text) => {
  if (!/^(\/(?!\.{1,2}(\/|$))[\w.~-]+)+$/.test(text)) throw new RangeError(`must be ${BASE_PATH_FORM}, not ${quoted(text)}`);
  return text;
});

export const limits = format<Limits>('a JSON object', (text) => {
  try {
    return parseLimits(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
});

/** Text to show in an error. What stands before an @ may be a user and a password, and a query have a token in it. */
function quoted(text: string): string {
  return JSON.stringify(text.replace(/^.*@/s, '…@').replace(/[?#].*$/s, '?…'));
}
