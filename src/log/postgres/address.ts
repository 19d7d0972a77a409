/**
 * Where the database is: one server, or several of which one takes writes at a time, as libpq writes them:
 * `postgres://user:password@a:5432,b:5432/database?target_session_attrs=read-write`.
 */

/** What `target_session_attrs` may ask for: a log has to be written to. */
const WRITABLE = ['read-write', 'primary'];
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
