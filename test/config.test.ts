import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { developmentSecret } from '../src/auth/development-secret.ts';
import { ConfigError, parseConfig } from '../src/config.ts';
import { DEFAULT_LIMITS } from '../src/limits/limits.ts';
import { temporaryFolder } from './helpers/folder.ts';
import { startProcess } from './helpers/process.ts';

test('the defaults are those of the documentation', () => {
  expect(parseConfig({})).toEqual({
    production: false,
    host: '127.0.0.1',
    port: 8766,
    log: { kind: 'sqlite', path: './data/courier.db', mustExist: false },
    retentionMs: 7 * 24 * 60 * 60 * 1000,
    stateMs: 30 * 24 * 60 * 60 * 1000,
    jwt: { secrets: [], jwksUrl: undefined, issuer: undefined, audience: 'courier', maxLifetimeMs: 90 * 24 * 60 * 60 * 1000 },
    allowedOrigins: [],
    trustedProxies: [],
    basePath: '',
    limits: DEFAULT_LIMITS,
    logLevel: 'info',
    logFormat: 'pretty',
    broker: { kind: 'local' },
    startMs: 30_000,
    workers: 1,
    drainMs: 30_000,
  });
  expect(parseConfig({ NODE_ENV: 'production', COURIER_JWT_SECRET: 'x'.repeat(32) }).logFormat).toBe('json');
  expect(parseConfig({ COURIER_PORT: '' }).port).toBe(8766);
});

test.each(['/courier', '/a/b-c/v1.2_~', '/..a'])('%s is a path that everything can be below', (path) => {
  expect(parseConfig({ COURIER_BASE_PATH: path }).basePath).toBe(path);
});

test.each([
  ['sqlite:a.db', { path: 'a.db', mustExist: false }],
  ['sqlite:/b/a.db?mode=rwc', { path: '/b/a.db', mustExist: false }],
  ['sqlite:/b/a%3F #1.db?mode=rw', { path: '/b/a%3F #1.db', mustExist: true }],
])('%s is a log in SQLite', (COURIER_LOG, log) => {
  expect(parseConfig({ COURIER_LOG }).log).toEqual({ kind: 'sqlite', ...log });
});

describe('a log that is expected, and is not there, is no new one', () => {
  const EXPECTED = 'and mode=rw expects a log that is there: put it in place, or leave the mode out to begin a new one';

  /** What the process says that is started on `courier.db` in a folder as `make` leaves it, and what is in the folder then. */
  async function refusal(make: (path: string) => void, name = 'courier.db') {
    using folder = temporaryFolder();
    const path = folder.file(name);
    make(path);
    const files = readdirSync(folder.path);
    const bytes = existsSync(path) ? readFileSync(path) : undefined;
    const message = await startProcess({ COURIER_LOG: `sqlite:${path}?mode=rw` }).then(
      async (gateway) => {
        await gateway[Symbol.asyncDispose]();
        return 'started';
      },
      (error: Error) => error.message,
    );
    expect(readdirSync(folder.path)).toEqual(files);
    expect(existsSync(path) ? readFileSync(path) : undefined).toEqual(bytes);
    return message.replace(path, 'PATH');
  }
  const database = (statement: string) => (path: string) => {
    const db = new DatabaseSync(path);
    db.exec(statement);
    db.close();
  };

  test.each<[string, (path: string) => void, string]>([
    ['no file', () => undefined, `it is not there, ${EXPECTED}`],
    ['an empty file', (path) => writeFileSync(path, ''), `it is empty, ${EXPECTED}`],
    ['a database with nothing in it', database('CREATE TABLE x (y); DROP TABLE x'), `it is empty, ${EXPECTED}`],
    ['a database of something else', database('CREATE TABLE x (y)'), 'it is an SQLite file, but not an event log of Courier'],
    [
      'a file that is none',
      (path) => writeFileSync(path, 'Not a database, whatever its name says. '.repeat(100)),
      'it is not an SQLite file',
    ],
  ])('%s', async (_name, make, reason) => {
    expect(await refusal(make)).toBe(
      `the gateway ended with 1: courier: cannot start: COURIER_LOG: the event log PATH cannot be opened: ${reason}`,
    );
  });

  test.each(['/proc/x/y', '/dev/null/x'])('a folder that cannot be made: %s', async (path) => {
    await expect(startProcess({ COURIER_LOG: `sqlite:${path}/courier.db` })).rejects.toThrow(
      `ended with 1: courier: cannot start: COURIER_LOG: the folder of the event log ${path}/courier.db cannot be made: E`,
    );
  });

  test('a missing folder', async () => {
    expect(await refusal(() => undefined, 'missing/courier.db')).toContain(`it is not there, ${EXPECTED}`);
  });

  test('one that is there is taken, also when all of it is in its write-ahead log', async () => {
    using folder = temporaryFolder();
    const path = folder.file('courier.db');
    await using made = await startProcess({ COURIER_LOG: `sqlite:${path}` });
    expect(await made.end('SIGKILL')).toBe('SIGKILL');
    await using again = await startProcess({ COURIER_LOG: `sqlite:${path}?mode=rw` });
    expect(await again.end('SIGTERM')).toBe(0);
    await using whole = await startProcess({ COURIER_LOG: `sqlite:${path}?mode=rw` });
    expect(await whole.end('SIGTERM')).toBe(0);
  });
});

test.each([
  'COURIER_URL',
  'COURIER_TOKEN',
  'COURIER_TEST_POSTGRES_URL',
  'COURIER_FAULTS',
  'COURIER_SOAK_MINUTES',
  'COURIER_CHROMIUM',
  'COURIER_PYTHON',
  // Of Kubernetes, for services named courier and courier-redis.
  'COURIER_SERVICE_HOST',
  'COURIER_SERVICE_PORT_HTTP',
  'COURIER_PORT_80_TCP',
  'COURIER_PORT_80_TCP_ADDR',
  'COURIER_REDIS_SERVICE_PORT',
])('%s is read by others', (name) => {
  expect(parseConfig({ [name]: 'x' })).toEqual(parseConfig({}));
});

test('the address that Kubernetes sets for a service is read by others, and a port of somebody who means another variable is not', () => {
  expect(parseConfig({ COURIER_REDIS_PORT: 'tcp://10.0.0.1:6379' })).toEqual(parseConfig({}));
  expect(() => parseConfig({ COURIER_HTTP_PORT: '9000' })).toThrow(/^COURIER_HTTP_PORT is no variable of Courier: is COURIER_PORT meant\?/);
  expect(() => parseConfig({ COURIER_PORT: 'tcp://10.0.0.1:8766' })).toThrow(
    /^COURIER_PORT was set by Kubernetes.*enableServiceLinks: false$/,
  );
});

test.each([
  [{ COURIER_LOGG: 'memory:' }, /^COURIER_LOGG is no variable of Courier: is COURIER_LOG meant\? Otherwise unset it$/],
  [{ COURIER_SECRET: 'x' }, /^COURIER_SECRET is no variable of Courier: is COURIER_JWT_SECRET meant\?/],
  [{ COURIER_TOKENS: 'x' }, /^COURIER_TOKENS is no variable of Courier: is COURIER_TOKEN meant\?/],
  // A word of it was left out.
  [{ COURIER_PATH: '/courier' }, /is COURIER_BASE_PATH meant\?/],
  // Another word for it.
  [{ COURIER_REDIS_URL: 'redis://redis' }, /is COURIER_BROKER meant\?/],
  [{ COURIER_DATABASE_URL: 'postgres://db' }, /is COURIER_LOG meant\?/],
])('a variable that nothing reads is refused with the nearest name: %j', (env, words) => {
  expect(() => parseConfig(env)).toThrow(ConfigError);
  expect(() => parseConfig(env)).toThrow(words);
});

test('a variable that nothing reads may be empty', () => {
  expect(parseConfig({ COURIER_LOGG: '' })).toEqual(parseConfig({}));
});

/** Each is wrong, and has a password in it. */
const ADDRESSES_WITH_PASSWORD = [
  ['COURIER_HOST', 'http://me:hunter2@host'],
  ['COURIER_HOST', '[me:hunter2@host]'],
  ['COURIER_LOG', 'postgress://me:hunter2@db/courier'],
  ['COURIER_LOG', 'postgres://me:hunter2/@db/courier'],
  ['COURIER_LOG', 'sqlite://me?hunter2@db'],
  ['COURIER_BROKER', 'redis://me:hunter2@redis:port'],
  ['COURIER_BROKER', 'redis+sentinel://redis/name?secret=hunter2'],
  ['COURIER_JWT_SECRET', 'hunter2'],
  ['COURIER_JWKS_URL', 'https://me:hunter2@issuer/keys'],
  ['COURIER_ALLOWED_ORIGINS', 'https://me:hunter2@app.example.org'],
  ['COURIER_TRUSTED_PROXIES', 'me:hunter2@10.0.0.1'],
  ['COURIER_BASE_PATH', 'https://me:hunter2@host/courier'],
  ['COURIER_SENTRY_DSN', 'https://hunter2@host/'],
] as const;

describe('a wrong value is one line that names the variable', () => {
  test.each<[Record<string, string>, RegExp]>([
    [{ COURIER_PORT: 'http' }, /^COURIER_PORT must be a whole number from 0 to 65535$/],
    [{ COURIER_PORT: '65536' }, /^COURIER_PORT /],
    [{ COURIER_PORT: '-1' }, /^COURIER_PORT /],
    [{ COURIER_LOG: 'mysql://x' }, /^COURIER_LOG must be memory:, sqlite:PATH or postgres:\/\/user:password@host\/database$/],
    [{ COURIER_LOG: 'sqlite:' }, /^COURIER_LOG /],
    [{ COURIER_LOG: 'sqlite:?mode=rw' }, /^COURIER_LOG must be memory:, sqlite:PATH/],
    ...['', 'mode', 'mode=', 'mode=ro', 'mode=rw&mode=rwc', 'mode=rw&cache=shared', 'cache=shared', 'mode=rw ', 'really.db'].map(
      (parameters): [Record<string, string>, RegExp] => [
        { COURIER_LOG: `sqlite:./a.db?${parameters}` },
        /^COURIER_LOG may have \?mode=rw \(the file must be there\) or \?mode=rwc \(it is made\) behind its path, and nothing else; a path cannot have a \? in it$/,
      ],
    ),
    [{ COURIER_BROKER: 'redis://x' }, /^COURIER_BROKER is for instances that share a log: COURIER_LOG must be postgres/],
    ...['kafka://x', 'redis://', 'redis:x', 'redis://x:port', 'redis+sentinel:///name', 'redis+sentinel://a,,b/name'].map(
      (broker): [Record<string, string>, RegExp] => [
        { COURIER_BROKER: broker },
        /^COURIER_BROKER must be local, redis:\/\/user:password@host:6379 or redis\+sentinel:\/\/user:password@host:26379,host:26379\/mastername$/,
      ],
    ),
    [{ COURIER_BROKER: 'redis://a,b' }, /^COURIER_BROKER may name several hosts only as Sentinels: redis\+sentinel:\/\//],
    [{ COURIER_BROKER: 'redis://a/name' }, /^COURIER_BROKER must name a database of Redis by its number$/],
    [{ COURIER_BROKER: 'redis://:50%@a' }, /^COURIER_BROKER has a % that does not encode a character: write %25 for it$/],
    [{ COURIER_BROKER: 'redis+sentinel://a:26379,b' }, /^COURIER_BROKER must end with the name that the Sentinels have for the master/],
    [{ COURIER_BROKER: 'redis+sentinel://a/name?db=one' }, /^COURIER_BROKER must name a database of Redis by its number$/],
    [
      { COURIER_BROKER: 'redis+sentinel://a/name?password=secret' },
      /^COURIER_BROKER may have the parameters db, sentinel_user, sentinel_password only, and has others/,
    ],
    [{ COURIER_RETENTION_DAYS: '0' }, /^COURIER_RETENTION_DAYS /],
    ...['0', '-1', 'two', '65', '1.5', ' 2', 'AUTO'].map((workers): [Record<string, string>, RegExp] => [
      { COURIER_WORKERS: workers },
      /^COURIER_WORKERS must be auto, or a whole number from 1 to 64$/,
    ]),
    [
      { COURIER_WORKERS: '2', COURIER_LOG: 'memory:' },
      /^COURIER_WORKERS must be 1 with COURIER_LOG=memory:, which one process has to itself: keep the log in a file \(sqlite:PATH\)$/,
    ],
    [{ COURIER_JWT_SECRET: 'short' }, /^COURIER_JWT_SECRET must be at least 32 bytes long, and is 5$/],
    [{ COURIER_JWT_MAX_DAYS: '0' }, /^COURIER_JWT_MAX_DAYS must be a whole number from 1 to 3650$/],
    [{ COURIER_JWT_MAX_DAYS: '1.5' }, /^COURIER_JWT_MAX_DAYS /],
    [{ COURIER_LOG_LEVEL: 'loud' }, /^COURIER_LOG_LEVEL must be one of trace, debug/],
    [{ COURIER_LOG_FORMAT: 'xml' }, /^COURIER_LOG_FORMAT /],
    [{ COURIER_DRAIN_SECONDS: '1.5' }, /^COURIER_DRAIN_SECONDS /],
    [{ NODE_ENV: 'production' }, /^COURIER_JWT_SECRET or COURIER_JWKS_URL must be set when NODE_ENV is production$/],
    [{ COURIER_JWT_SECRET: `${'x'.repeat(32)},short` }, /^COURIER_JWT_SECRET must be at least 32 bytes long, and is 5$/],
    [{ COURIER_JWKS_URL: 'ftp://x' }, /^COURIER_JWKS_URL must be an http or https URL$/],
    [{ COURIER_JWKS_URL: 'https://me:secret@x/keys' }, /^COURIER_JWKS_URL must not have a user or a password in it$/],
    [{ COURIER_JWKS_URL: 'https://me@x/keys' }, /^COURIER_JWKS_URL must not have a user or a password in it$/],
    [{ COURIER_HOST: '[::1]' }, /^COURIER_HOST must be an address without brackets: ::1$/],
    ...['http://127.0.0.1', '127.0.0.1/', 'me@host', 'a b'].map((host): [Record<string, string>, RegExp] => [
      { COURIER_HOST: host },
      /^COURIER_HOST must be a name or an address such as 0\.0\.0\.0, and no URL: the port is that of COURIER_PORT$/,
    ]),
    [{ COURIER_JWKS_URL: 'http://x', COURIER_JWT_SECRET: 'x'.repeat(32) }, /^COURIER_JWKS_URL and COURIER_JWT_SECRET cannot both be set$/],
    [{ COURIER_ALLOWED_ORIGINS: 'https://a.org,b.org' }, /^COURIER_ALLOWED_ORIGINS must be a comma list of origins .* "b.org" is none$/],
    [{ COURIER_ALLOWED_ORIGINS: 'https://a.org/' }, /^COURIER_ALLOWED_ORIGINS /],
    [{ COURIER_ALLOWED_ORIGINS: 'null' }, /^COURIER_ALLOWED_ORIGINS /],
    ...['10.0.0.0/33', '10.0.0', '0x7f.1', 'fe80::1%eth0', '::ffff:0:0/95', '10.0.0.0/', 'example.org', ''].map(
      (entry): [Record<string, string>, RegExp] => [
        { COURIER_TRUSTED_PROXIES: `loopback,${entry}` },
        new RegExp(`^COURIER_TRUSTED_PROXIES must be a comma list of addresses, networks .*, and "${entry}" is none$`),
      ],
    ),
    ...['courier', '/', '/courier/', '//courier', '/a/../b', '/./a', '/a/..', '/a%20b', '/a b', '/a?b', '/é', 'https://a.org/b'].map(
      (path): [Record<string, string>, RegExp] => [
        { COURIER_BASE_PATH: path },
        /^COURIER_BASE_PATH must be a path such as \/courier, .* not "/,
      ],
    ),
    [{ COURIER_LIMITS: '{' }, /^COURIER_LIMITS must be a JSON object$/],
    [{ COURIER_LIMITS: '{"user":{"conections":1}}' }, /^COURIER_LIMITS user.conections: is no limit that there is$/],
    [{ COURIER_LIMITS: '{"user":{"connections":-1}}' }, /^COURIER_LIMITS user.connections: /],
    [{ COURIER_LIMITS: '{"users":{"ada":{},"ada":{"connections":1}}}' }, /^COURIER_LIMITS users.ada: is there more than once$/],
    [{ COURIER_LIMITS: '{"user":{"connections":1,"\\u0063onnections":2}}' }, /^COURIER_LIMITS user.connections: is there more than once$/],
    [{ COURIER_LIMITS: '{"users":[]}' }, /^COURIER_LIMITS users: must be an object$/],
    [{ COURIER_LIMITS: '{"users":{"ada":{"connections":0}}}' }, /^COURIER_LIMITS users.ada.connections: /],
    [{ COURIER_LIMITS: '{"users":{"__proto__":{"conections":1}}}' }, /^COURIER_LIMITS users.__proto__.conections: /],
    [{ COURIER_LIMITS: '{"users":{"a b":{}}}' }, /^COURIER_LIMITS users.a b: must be 1 to 128 printable ASCII characters$/],
    [{ COURIER_LIMITS: '{"channels":{"global":{"publishPerSecond":0}}}' }, /^COURIER_LIMITS channels.global.publishPerSecond: /],
    [{ COURIER_LIMITS: '{"channels":{"global":{"connections":1}}}' }, /^COURIER_LIMITS channels.global.connections: /],
    [{ COURIER_LIMITS: '{"channels":{"global":5}}' }, /^COURIER_LIMITS channels.global: /],
  ])('%j', (env, message) => {
    expect(() => parseConfig(env)).toThrow(ConfigError);
    expect(() => parseConfig(env)).toThrow(message);
  });

  test.each(ADDRESSES_WITH_PASSWORD)('%s: no password is repeated', (name, value) => {
    expect(() => parseConfig({ [name]: value })).toThrow(expect.objectContaining({ message: expect.stringMatching(`^${name} `) }));
    expect(() => parseConfig({ [name]: value })).not.toThrow(/hunter2/);
  });

  test('and all of them are told of at once, one line each', async () => {
    const env = {
      NODE_ENV: 'production',
      COURIER_PORT: 'http',
      COURIER_RETENTION_DAYS: 'soon',
      COURIER_LOGG: 'memory:',
      COURIER_BROKER: 'redis://redis',
      COURIER_JWT_SECRET: '',
    };
    await expect(startProcess(env)).rejects.toThrow(
      [
        'the gateway ended with 2: courier: COURIER_LOGG is no variable of Courier: is COURIER_LOG meant? Otherwise unset it',
        'courier: COURIER_PORT must be a whole number from 0 to 65535',
        'courier: COURIER_RETENTION_DAYS must be a whole number from 1 to 3650',
        'courier: COURIER_BROKER is for instances that share a log: COURIER_LOG must be postgres://... then',
        'courier: COURIER_JWT_SECRET or COURIER_JWKS_URL must be set when NODE_ENV is production',
      ].join('\n'),
    );
  });

  test('of limits too, each with where it is, and with what the contract says of their channels', async () => {
    const limits =
      '{"user":{"conections":1,"publishs":2},"users":{"ada":{"connections":0},"ada":{"connections":-1}},"channels":{"nothing.*":{"publishPerSecond":0},"a b":5}}';
    await expect(startProcess({ COURIER_LIMITS: limits, COURIER_PORT: 'http' })).rejects.toThrow(
      expect.objectContaining({
        message: expect.stringMatching(
          new RegExp(
            [
              '^the gateway ended with 2: courier: COURIER_PORT must be .*',
              'courier: COURIER_LIMITS users\\.ada: is there more than once',
              'courier: COURIER_LIMITS user\\.conections: is no limit that there is',
              'courier: COURIER_LIMITS user\\.publishs: is no limit that there is',
              'courier: COURIER_LIMITS users\\.ada\\.connections: .*',
              'courier: COURIER_LIMITS channels\\.nothing\\.\\*\\.publishPerSecond: .*',
              'courier: COURIER_LIMITS channels\\.a b: .*',
              'courier: COURIER_LIMITS channels\\.nothing\\.\\*: "nothing\\.\\*" can match no channel; .*',
              'courier: COURIER_LIMITS channels\\.a b: "a b" is neither a channel nor a pattern.*$',
            ].join('\n'),
          ),
        ),
      }),
    );
  });

  test('what two variables must be together is asked only where each is right', () => {
    const env = {
      NODE_ENV: 'production',
      COURIER_BROKER: 'redis://redis',
      COURIER_LOG: 'postgre://db/courier',
      COURIER_JWT_SECRET: 'short',
    };
    expect(() => parseConfig(env)).toThrow(
      expect.objectContaining({
        problems: [expect.stringMatching(/^COURIER_LOG must/), expect.stringMatching(/^COURIER_JWT_SECRET must/)],
      }),
    );
  });

  test('and the process ends with exit code 2', async () => {
    await expect(startProcess({ COURIER_RETENTION_DAYS: 'soon' })).rejects.toThrow(
      /ended with 2: courier: COURIER_RETENTION_DAYS must be a whole number from 1 to 3650$/,
    );
  });

  test('an address that cannot be had is one line that names its variable, and exit code 1', async () => {
    await using running = await startProcess({ COURIER_LOG: 'memory:' });
    const { port } = new URL(running.url);
    await expect(startProcess({ COURIER_LOG: 'memory:', COURIER_PORT: port })).rejects.toThrow(
      `the gateway ended with 1: courier: cannot start: COURIER_PORT ${port} of 127.0.0.1 is in use: end what listens there, or set COURIER_PORT to another (0 is any free one)`,
    );
    // One name that nobody has, and one address that is kept for examples.
    for (const host of ['nohost.invalid', '192.0.2.1']) {
      await expect(startProcess({ COURIER_LOG: 'memory:', COURIER_HOST: host })).rejects.toThrow(
        `the gateway ended with 1: courier: cannot start: COURIER_HOST "${host}" is no address of this machine: `,
      );
    }
  });

  test('a log that another process has ends it with exit code 1', async () => {
    using folder = temporaryFolder();
    await using _running = await startProcess({ COURIER_LOG: `sqlite:${folder.file('a.db')}` });
    await expect(startProcess({ COURIER_LOG: `sqlite:${folder.file('a.db')}` })).rejects.toThrow(
      /ended with 1: .*a\.db cannot be opened: another process/,
    );
  });
});

test('the development secret is made once, kept beside the log, and readable by its owner only', () => {
  using folder = temporaryFolder();
  const log = { kind: 'sqlite', path: folder.file('data/courier.db'), mustExist: false } as const;
  const secret = developmentSecret(log);
  expect(secret.length).toBeGreaterThanOrEqual(32);
  expect(developmentSecret(log)).toBe(secret);
  expect(readFileSync(folder.file('data/development-secret'), 'utf8')).toBe(secret);
  expect(statSync(folder.file('data/development-secret')).mode & 0o777).toBe(0o600);
});
