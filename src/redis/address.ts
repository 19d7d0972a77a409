/**
 * Where Redis is: `redis://user:password@host:6379/0`, or the Sentinels that know which of several servers is the master:
 * `redis+sentinel://user:password@a:26379,b:26379/mymaster`. With `rediss` for TLS.
 */

export interface RedisServer {
  readonly host: string;
  readonly port: number;
}

export interface Credentials {
  readonly username?: string;
  readonly password?: string;
}

export interface RedisAddress {
  /** Where it is, for people: without user and password. */
  readonly label: string;
  /** The one server, or the Sentinels. */
  readonly servers: readonly RedisServer[];
  /** What the Sentinels call the master; undefined where the server itself is named. */
  readonly master: string | undefined;
  readonly tls: boolean;
  readonly credentials: Credentials;
  readonly sentinelCredentials: Credentials;
  readonly database: number;
}

const SENTINELS = 'redis+sentinel://user:password@host:26379,host:26379/mastername';
/** What `COURIER_BROKER` must be. */
export const BROKER_FORM = `local, redis://user:password@host:6379 or ${SENTINELS}`;
/** What has an @ behind its hosts has a slash in its password, which ends them. */
const ADDRESS =
  /^redis(?<tls>s?)(?<sentinel>\+sentinel)?:\/\/(?:(?<user>[^/?#]*)@)?(?<hosts>[^/?#@]+)(?<path>\/[^?#@]*)?(?<query>\?[^#]*)?$/;
/** What may stand behind the question mark of an address with Sentinels. */
const PARAMETERS = ['db', 'sentinel_user', 'sentinel_password'];

/** @throws {RangeError} saying what is wrong with it. */
export function parseRedisAddress(text: string): RedisAddress {
  const { tls, sentinel, user = '', hosts = '', path = '', query } = ADDRESS.exec(text)?.groups ?? {};
  const port = sentinel === undefined ? 6379 : 26_379;
  const servers = hosts.split(',').map((host) => serverOf(host, port));
  const label = `redis${tls}${sentinel ?? ''}://${hosts}${path}`;
  const shared = { servers, tls: tls === 's', credentials: credentials(...userinfo(user)) };
  const name = decoded(path.slice(1));
  if (sentinel === undefined) {
    if (servers.length > 1) throw new RangeError(`may name several hosts only as Sentinels: ${SENTINELS}`);
    if (query !== undefined) throw new RangeError('may have no parameters: the database is the path, such as /1');
    return { ...shared, label, master: undefined, sentinelCredentials: {}, database: databaseOf(name) };
  }
  if (name === '') throw new RangeError('must end with the name that the Sentinels have for the master, such as /mymaster');
  const parameters = new URLSearchParams(query);
  const unknown = [...parameters.keys()].find((key) => !PARAMETERS.includes(key));
  if (unknown !== undefined)
    throw new RangeError(
      `may have the parameters ${PARAMETERS.join(', ')} only, and has others: is there a & in a password? Write %26 for it`,
    );
  return {
    ...shared,
    label,
    master: name,
    sentinelCredentials: credentials(parameters.get('sentinel_user'), parameters.get('sentinel_password')),
    database: databaseOf(parameters.get('db') ?? ''),
  };
}

function serverOf(text: string, defaultPort: number): RedisServer {
  const url = URL.parse(`redis://${text}`);
  if (url === null || url.hostname === '') throw new RangeError(`must be ${BROKER_FORM}`);
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port === '' ? defaultPort : Number(url.port) };
}

function userinfo(text: string): [username: string, password: string] {
  const [, username = '', password = ''] = /^([^:]*):?(.*)$/s.exec(text) ?? [];
  return [decoded(username), decoded(password)];
}

function credentials(username: string | null, password: string | null): Credentials {
  return { ...(username && { username }), ...(password && { password }) };
}

function databaseOf(text: string): number {
  if (!/^\d{0,5}$/.test(text)) throw new RangeError('must name a database of Redis by its number');
  return Number(text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RangeError('has a % that does not encode a character: write %25 for it');
  }
}
