/**
 * Where the database is: one server, or several of which one takes writes at a time, as libpq writes them:
 * `postgres://user:password@a:5432,b:5432/database?target_session_attrs=read-write`. The driver passes over what it does not know,
 * and connects without TLS where that was what asked for it: here it is refused.
 */
import { readFileSync } from 'node:fs';
import { LEAST_LIKENESS, mostLike } from '../../most-like.ts';

/** What `target_session_attrs` may ask for: a log has to be written to. */
const WRITABLE = ['read-write', 'primary'];
const FILES = ['sslrootcert', 'sslcert', 'sslkey'];
/** Parameters that have one of these values. */
const VALUES: ReadonlyMap<string, readonly string[]> = new Map([
  ['sslmode', ['verify-full', 'verify-ca', 'require', 'prefer', 'no-verify', 'disable']],
  ['ssl', ['true', '1', '0', 'no-verify']],
  ['sslnegotiation', ['postgres', 'direct']],
  ['uselibpqcompat', ['true', 'false']],
]);
/** Those that the driver heeds in an address, and ours. */
const PARAMETERS = [
  'target_session_attrs',
  ...VALUES.keys(),
  ...FILES,
  'host',
  'port',
  'user',
  'password',
  'options',
  'application_name',
  'fallback_application_name',
  'client_encoding',
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'query_timeout',
];
const STRICT_MODES: ReadonlySet<string | undefined> = new Set(['prefer', 'require', 'verify-ca']);

export class PostgresAddress {
  /** Hosts and database, for people: without user and password. */
  readonly label: string;
  /** One for each server. */
  readonly #urls: readonly string[];
  #index = 0;

  /** @throws {RangeError} saying what is wrong with it. */
  constructor(text: string) {
    const [, scheme = '', user = '', hosts = '', rest = ''] = /^(postgres(?:ql)?:\/\/)([^/?#]*@)?([^/?#]*)(.*)$/s.exec(text) ?? [];
    const urls = hosts.split(',').map((host) => URL.parse(`${scheme}${user}${host}${rest}`));
    // What has an @ behind its hosts has a slash in its password, which ends them.
    if (scheme === '' || urls.includes(null) || rest.includes('@'))
      throw new RangeError('must be postgres://user:password@host/database, with %2F for a slash in the password, and %40 for an @');
    const wanted = urls[0]?.searchParams.get('target_session_attrs') ?? 'read-write';
    if (!WRITABLE.includes(wanted)) throw new RangeError(`target_session_attrs must be read-write, as a log is written to, not ${wanted}`);
    checkParameters(urls[0]?.searchParams ?? new URLSearchParams());
    this.label = `${hosts}${urls[0]?.pathname ?? ''}`;
    this.#urls = urls.flatMap((url) => {
      if (url === null) return [];
      url.searchParams.delete('target_session_attrs');
      sayTlsInFull(url.searchParams);
      return [url.href];
    });
  }

  /** How many servers there are. */
  get count(): number {
    return this.#urls.length;
  }

  /** That of the server that is connected to now. */
  get url(): string {
    return this.#urls[this.#index] as string;
  }

  /** The server at `url` is away, or takes no writes: from now on the next one is connected to. */
  leave(url: string): void {
    if (url === this.url) this.#index = (this.#index + 1) % this.#urls.length;
  }
}

/** The driver takes these modes of libpq for the strictest one, and warns of that in nine lines: it is given what it takes them for. */
function sayTlsInFull(parameters: URLSearchParams): void {
  // Of one that is there twice the last counts.
  const of = (name: string) => parameters.getAll(name).at(-1);
  if (of('uselibpqcompat') !== 'true' && STRICT_MODES.has(of('sslmode'))) parameters.set('sslmode', 'verify-full');
}

/** Names that are like no other are not repeated: they may be a part of a password. @throws {RangeError} */
function checkParameters(parameters: URLSearchParams): void {
  for (const [name, value] of parameters) {
    if (!PARAMETERS.includes(name)) throw new RangeError(`${unknownParameter(name)}; it may have ${PARAMETERS.join(', ')}`);
    const values = VALUES.get(name);
    if (values !== undefined && !values.includes(value))
      throw new RangeError(`${name} must be one of ${values.join(', ')}, not ${JSON.stringify(value)}${meant(value, values)}`);
    if (FILES.includes(name)) requireFile(name, value);
  }
}

/** Of libpq, for what is not done here: who sets one shall not believe that it is. */
const NOT_HEEDED = [
  'channel_binding',
  'connect_timeout',
  'gssencmode',
  'keepalives',
  'keepalives_idle',
  'sslcrl',
  'sslpassword',
  'passfile',
  'service',
];

function unknownParameter(name: string): string {
  if (NOT_HEEDED.includes(name)) return `has ${name}, which Courier's driver does not heed: leave it out`;
  const suggestion = meant(name, PARAMETERS);
  return suggestion === '' ? 'has a parameter that nobody knows: is there a & in a password? Write %26 for it' : `has ${name}${suggestion}`;
}

function meant(text: string, known: readonly string[]): string {
  const { name, likeness } = mostLike(text.toLowerCase(), known);
  return likeness < LEAST_LIKENESS ? '' : `: is ${name} meant?`;
}

/** The driver reads it with each connection, and its failing would look like that of a server. @throws {RangeError} */
function requireFile(name: string, path: string): void {
  try {
    readFileSync(path);
  } catch (error) {
    throw new RangeError(`${name} cannot be read: ${(error as Error).message}`);
  }
}
