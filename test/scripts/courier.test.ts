/** The command line as a person uses it: real processes, a real gateway. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type OutgoingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, inject, test } from 'vitest';
import { defaultAddress } from '../../scripts/cli/address.ts';
import { createDatabase } from '../../scripts/servers.ts';
import { signToken } from '../../src/auth/tokens.ts';
import { VARIABLES } from '../../src/config/variables.ts';
import { runCli } from '../helpers/cli.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { SECRET, startGateway, type TestGateway, TOKENS } from '../helpers/gateway.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { openSocket } from '../helpers/raw-socket.ts';

const forGateway = (gateway: TestGateway) => ({ COURIER_URL: gateway.url, COURIER_JWT_SECRET: SECRET });
const progress = (value: number) => JSON.stringify({ job_id: 'j1', progress: value });

test.each([
  ['http', ''],
  ['ws', '/'],
])('a gateway below a path is reached by %s, with "%s" at the end, by every way that commands take', async (scheme, ending) => {
  await using gateway = await startGateway({ COURIER_BASE_PATH: '/tools/courier' });
  const env = { ...forGateway(gateway), COURIER_URL: `${gateway.url.replace('http', scheme)}${ending}` };
  await using tail = runCli(['tail', 'forge.**', '--limit', '1'], env);
  await tail.line(/^live at/);
  await using publish = runCli(['publish', 'forge.job.j1', 'forge.job.progress', progress(0.5)], env);
  await using health = runCli(['health'], env);
  await using stats = runCli(['stats'], env);
  await using history = runCli(['history', 'forge.job.j1'], env);
  for (const [name, { exit }] of Object.entries({ tail, publish, health, stats, history })) expect([name, await exit]).toEqual([name, 0]);
});

test('without an address commands reach the gateway that is configured by the same variables', async () => {
  await using gateway = await startGateway({ COURIER_HOST: '0.0.0.0', COURIER_BASE_PATH: '/tools' });
  const env = { COURIER_HOST: '0.0.0.0', COURIER_PORT: String(gateway.port), COURIER_BASE_PATH: '/tools', COURIER_JWT_SECRET: SECRET };
  await using history = runCli(['history', '**'], env);
  expect([await history.exit, history.stdout, history.stderr]).toEqual([0, [], ['none']]);
  for (const [host, shown] of [
    ['::', '[::1]'],
    ['::1', '[::1]'],
    ['localhost', 'localhost'],
    ['', '127.0.0.1'],
  ])
    expect(defaultAddress({ ...(host && { COURIER_HOST: host }), COURIER_PORT: '7000' })).toBe(`http://${shown}:7000`);
  await using any = runCli(['stats'], { ...env, COURIER_PORT: '0' });
  expect([await any.exit, any.stderr]).toEqual([
    2,
    ['courier: COURIER_PORT is 0, which is any free port: name the gateway with --url or COURIER_URL'],
  ]);
  await using wrong = runCli(['stats'], { ...env, COURIER_PORT: 'http' });
  expect([await wrong.exit, wrong.stderr]).toEqual([2, ['courier: COURIER_PORT must be a whole number from 0 to 65535']]);
});

test.each(['user:p4ssw0rd@host', 'http://user:p4ssw0rd/x@host/y', 'http://host/?token=p4ssw0rd'])(
  'nothing of %s is repeated where it is no address',
  async (address) => {
    for (const [args, env] of [
      [['--url', address], {}],
      [[], { COURIER_URL: address }],
    ] as const) {
      await using stats = runCli(['stats', ...args], env);
      expect([await stats.exit, stats.stderr]).toEqual([
        2,
        ["error: option '--url <address>' is invalid. give an address such as http://127.0.0.1:8766 or https://host/courier."],
      ]);
    }
  },
);

test('a contract that is named by an address with a password is refused without that', async () => {
  await using check = runCli(['serve', '--check'], { COURIER_CONTRACT: 'http://user:p4ssw0rd@host/contract.ts' });
  expect([await check.exit, check.stderr]).toEqual([2, ['courier: COURIER_CONTRACT http://host/contract.ts: there is no such file']]);
});

test.each(['localhost:8766', 'ftp://host', 'http://me:secret@host', 'http://host/?x=1', 'http://host/#x'])(
  '%s is no address of a gateway',
  async (address) => {
    await using health = runCli(['health', '--url', address]);
    expect(await health.exit).toBe(2);
    expect(health.stderr.join(' ')).toContain('give an address such as http://127.0.0.1:8766 or https://host/courier');
  },
);

describe('publish and tail', () => {
  test('what is published appears, readable or as JSON, and tail ends after its limit', async () => {
    await using gateway = await startGateway();
    const env = forGateway(gateway);
    await using readable = runCli(['tail', 'forge.**', '--limit', '1'], env);
    await using json = runCli(['tail', 'forge.job.j1', '--limit', '1', '--json'], env);
    await Promise.all([readable.line(/^live at/), json.line(/courier\.live/)]);
    const options = ['--correlation-id', 'run-1', '--causation-id', 'another-7'];
    await using publish = runCli(['publish', 'forge.job.j1', 'forge.job.progress', progress(0.5), ...options], env);
    expect(await publish.exit).toBe(0);
    expect(publish.stdout[0]).toMatch(/^\w+-1 forge\.job\.j1 forge\.job\.progress$/);
    expect(await readable.exit).toBe(0);
    expect(readable.stdout).toEqual([
      expect.stringMatching(/^\S+ forge\.job\.j1 +forge\.job\.progress +courier-cli +job_id=j1 progress=0\.5$/),
    ]);
    expect(await json.exit).toBe(0);
    const events = json.stdout.map((line) => JSON.parse(line));
    expect(events).toMatchObject([
      { type: 'courier.live' },
      {
        channel: 'forge.job.j1',
        metadata: { source: 'courier-cli', correlation_id: 'run-1', causation_id: 'another-7' },
        data: { job_id: 'j1', progress: 0.5 },
      },
    ]);
  });

  test('many lines from standard input are published in order', async () => {
    await using gateway = await startGateway();
    const lines = Array.from({ length: 250 }, (_, index) => progress(index / 250)).join('\n');
    await using publish = runCli(['publish', 'forge.job.j1', 'forge.job.progress'], forGateway(gateway), lines);
    expect(await publish.exit).toBe(0);
    expect(publish.stdout).toHaveLength(250);
    expect(publish.stderr).toEqual([expect.stringMatching(/^published 250 events in /)]);
    await using history = runCli(['history', 'forge.job.j1', '--all', '--json', '--limit', '100'], forGateway(gateway));
    expect(await history.exit).toBe(0);
    expect(history.stdout.map((line) => JSON.parse(line).data.progress)).toEqual(Array.from({ length: 250 }, (_, index) => index / 250));
  });

  test('what comes through a pipe that stays open is published as it comes', async () => {
    await using gateway = await startGateway();
    await using publish = runCli(['publish', 'forge.job.j1', 'forge.job.progress'], forGateway(gateway), null);
    publish.stdin.write(`${progress(0.1)}\n`);
    await publish.line(/-1 forge/);
    publish.stdin.write(`${progress(0.2)}\n\n${progress(0.3)}\n${progress(0.4)}`);
    await publish.line(/-3 forge/);
    publish.stdin.end('\n');
    expect([await publish.exit, publish.stderr]).toEqual([0, [expect.stringMatching(/^published 4 events in /)]]);
    await using history = runCli(['history', 'forge.job.j1', '--json'], forGateway(gateway));
    expect(await history.exit).toBe(0);
    expect(history.stdout.map((line) => JSON.parse(line).data.progress)).toEqual([0.1, 0.2, 0.3, 0.4]);
  });

  test('whole events come from a file, each with its own channel and type', async () => {
    using folder = temporaryFolder();
    await using gateway = await startGateway();
    writeFileSync(
      folder.file('events.jsonl'),
      `{"channel":"global","type":"forge.job.completed","data":{"job_id":"j1"}}\n\n{"channel":"backtest.b1","type":"backtest.started","data":{"backtest_id":"b1"}}\n`,
    );
    await using publish = runCli(['publish', '--file', folder.file('events.jsonl'), '--json'], forGateway(gateway));
    expect(await publish.exit).toBe(0);
    expect(publish.stdout.map((line) => JSON.parse(line))).toMatchObject([{ channel: 'global' }, { channel: 'backtest.b1' }]);
  });

  test('a line that is wrong is named, and what came before it is published', async () => {
    await using gateway = await startGateway();
    await using publish = runCli(
      ['publish', 'forge.job.j1', 'forge.job.progress'],
      forGateway(gateway),
      `${progress(0.1)}\n${progress(7)}\n`,
    );
    expect(await publish.exit).toBe(1);
    expect(publish.stdout).toHaveLength(1);
    expect(publish.stderr.at(-1)).toMatch(/^courier: line 2 is not a valid event: data\.progress: /);
  });

  test.each<[string, string[], string, string]>([
    ['no type', ['backtest.b1'], '', 'the event type is missing: courier publish CHANNEL TYPE DATA, '],
    [
      'data in place of the type',
      ['backtest.b1', '{"backtest_id":"b1"}'],
      '',
      'the event type is missing: courier publish CHANNEL TYPE DATA, ',
    ],
    ['another type', ['backtest.b1', 'backtest.exploded', '{}'], '', 'type: must be one of backtest.started, '],
    ['no lines', ['forge.job.j1', 'forge.job.progress'], '', 'nothing came on standard input: courier publish CHANNEL TYPE DATA, '],
    ['empty lines', ['--file', '-'], '\n\n', 'nothing came on standard input: '],
    ['an empty file', ['--file', '/dev/null'], '', 'nothing came from /dev/null: '],
    ['data and a file', ['forge.job.j1', 'forge.job.progress', progress(0.5), '--file', '/dev/null'], '', 'give data or --file, not both'],
    ['a key for many', ['--idempotency-key', 'k'], '', '--idempotency-key is for a single event'],
  ])('%s is wrong usage, and nothing is published', async (_name, args, input, message) => {
    await using gateway = await startGateway();
    await using publish = runCli(['publish', ...args], forGateway(gateway), input);
    expect([await publish.exit, publish.stdout, publish.stderr.length]).toEqual([2, [], 1]);
    expect(publish.stderr[0]).toContain(`courier: ${message}`);
    expect((await gateway.pipeline.log.bounds()).head).toBe(0);
  });

  test.each([
    ['publish', ['backtest.b1', 'backtest.progres', '{}'], 2, 'is backtest.progress meant?'],
    ['publish', ['backtst.b1', 'backtest.failed', '{}'], 2, 'is backtest.b1 meant?'],
    ['publish', ['backtest.b1', 'backtest.failed', '{}'], 1, ''],
    ['history', ['strateg.*', 'forge.jobs.j1'], 1, 'are strategy.*, forge.job.j1 meant?'],
    ['tail', ['--types', 'order.fill,order.placed'], 1, 'is order.filled meant?'],
    ['tail', ['weather.oslo'], 1, ''],
  ])('%s %j is refused with the name that may be meant', async (command, args, code, hint) => {
    await using gateway = await startGateway();
    await using run = runCli([command, ...args], forGateway(gateway));
    expect([await run.exit, run.stderr.length]).toEqual([code, 1]);
    if (hint === '') expect(run.stderr[0]).not.toContain('meant');
    else expect(run.stderr[0]?.endsWith(`; ${hint}`)).toBe(true);
  });

  test('names of another contract than the gateway serves are refused with the names of both', async () => {
    await using gateway = await startGateway();
    const env = { ...forGateway(gateway), COURIER_CONTRACT: 'scripts/demo/contract.ts' };
    await using run = runCli(['history', 'station.*'], env);
    expect([await run.exit, run.stderr]).toEqual([
      1,
      [expect.stringMatching(/no channel; .*; the gateway serves the contract "lumiere", and that of COURIER_CONTRACT is "weather"$/)],
    ]);
  });

  test('a file that cannot be read', async () => {
    await using gateway = await startGateway();
    for (const [path, reason] of [
      ['/nowhere', 'there is no such file'],
      ['/', 'it is a folder'],
    ] as const) {
      await using publish = runCli(['publish', '--file', path], forGateway(gateway));
      expect([await publish.exit, publish.stderr]).toEqual([1, [`courier: ${path} cannot be read: ${reason}`]]);
    }
  });

  test('tail rests while its lines are not read, and misses nothing', { timeout: 60_000 }, async () => {
    await using gateway = await startGateway();
    await using tail = runCli(['tail', 'forge.**', '--json'], forGateway(gateway));
    await tail.line(/courier\.live/);
    tail.reads(false);
    const { events } = gateway.httpClient(await gateway.token('forge', 'service'));
    const publishNext = (from: number) =>
      events.publishBatch.mutate(
        Array.from({ length: 50 }, (_, index) => ({
          channel: 'forge.job.j1' as const,
          type: 'forge.job.progress' as const,
          data: { job_id: 'j1', progress: 0, message: `${from + index} ${'n'.repeat(900)}` },
        })),
      );
    let published = 0;
    for (; gateway.census.subscriptions > 0; published += 50) {
      expect(published).toBeLessThan(10_000);
      await publishNext(published);
    }
    await publishNext(published);
    tail.reads(true);
    await tail.line(new RegExp(`"message":"${published + 49} `));
    expect(tail.stderr).toEqual([]);
    const got = tail.stdout.map((line) => JSON.parse(line)).filter(({ type }) => type === 'forge.job.progress');
    expect(got.map(({ data }) => Number.parseInt(data.message, 10))).toEqual(Array.from({ length: published + 50 }, (_, index) => index));
  });

  test('tail goes on where it was after the gateway restarts', async () => {
    using folder = temporaryFolder();
    const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
    const first = await startProcess(env);
    const port = new URL(first.url).port;
    const cli = { COURIER_URL: first.url, COURIER_TOKEN: await processToken('root', 'admin') };
    await using tail = runCli(['tail', '--limit', '2', '--json'], cli);
    await tail.line(/courier\.live/);
    await using before = runCli(['publish', 'global', 'forge.job.started', '{"job_id":"j1","kind":"before"}'], cli);
    expect(await before.exit).toBe(0);
    await tail.line(/before/);
    expect(await first.end('SIGTERM')).toBe(0);
    await using _second = await startProcess({ ...env, COURIER_PORT: port });
    await using after = runCli(['publish', 'global', 'forge.job.started', '{"job_id":"j1","kind":"after"}'], cli);
    expect(await after.exit).toBe(0);
    expect(await tail.exit).toBe(0);
    const kinds = tail.stdout.map((line) => JSON.parse(line)).filter(({ type }) => !type.startsWith('courier.'));
    expect(kinds.map(({ data }) => data.kind)).toEqual(['before', 'after']);
  });
});

test('the help of serve has every variable with its default, what it is for and what it must be, in lines of 80 columns', async () => {
  await using run = runCli(['serve', '--help']);
  expect(await run.exit).toBe(0);
  expect(run.stdout.filter((line) => line.length > 80)).toEqual([]);
  const text = run.stdout.join('\n');
  for (const { name, description, form, ...variable } of VARIABLES) {
    const fallback = 'value' in variable.default ? variable.default.value : `(${variable.default.inWords})`;
    const [, told = ''] = new RegExp(`\n  ${name} +([\\s\\S]*?)\n(?=  \\S|\n)`).exec(text) ?? [];
    expect(told.replaceAll(/\s+/g, ' ')).toBe(
      [fallback, description.replaceAll('`', ''), form && `Value: ${form}`].filter(Boolean).join(' '),
    );
  }
});

test('migrate makes the tables of a log in PostgreSQL, once', async () => {
  const migrate = async (log: string) => {
    await using run = runCli(['migrate'], { COURIER_LOG: log });
    return { code: await run.exit, stdout: run.stdout, stderr: run.stderr };
  };
  const url = await createDatabase(inject('postgresUrl'));
  const version = expect.stringMatching(/^version \d+$/);
  for (let time = 1; time <= 2; time += 1) expect(await migrate(url)).toEqual({ code: 0, stdout: [version], stderr: [] });
  expect(await migrate('memory:')).toMatchObject({ code: 2, stderr: [expect.stringMatching(/^courier: COURIER_LOG must be postgres/)] });
});

describe('trouble is one line and an exit code', () => {
  test('a token that is refused', async () => {
    await using gateway = await startGateway();
    await using tail = runCli(['tail', '--token', 'nonsense'], forGateway(gateway));
    expect(await tail.exit).toBe(3);
    expect(tail.stderr).toEqual(['courier: the token is not valid: it is not a signed JWT']);
  });

  test('a channel that the token does not grant', async () => {
    await using gateway = await startGateway();
    const token = await gateway.token('ada');
    await using history = runCli(['history', 'strategy.s1'], { ...forGateway(gateway), COURIER_TOKEN: token });
    expect(await history.exit).toBe(3);
    expect(history.stderr).toEqual(['courier: user "ada" may not subscribe to strategy.s1']);
  });

  test('a gateway that is not there', async () => {
    await using stats = runCli(['stats', '--url', 'http://127.0.0.1:1'], { COURIER_JWT_SECRET: SECRET });
    expect(await stats.exit).toBe(1);
    expect(stats.stderr).toEqual([
      'courier: cannot reach the gateway at http://127.0.0.1:1: nothing listens there (ECONNREFUSED): start a gateway with `npm start`, or name another with --url or COURIER_URL',
    ]);
    await using nameless = runCli(['health', '--url', 'http://nohost.invalid'], { COURIER_JWT_SECRET: SECRET });
    expect(await nameless.exit).toBe(1);
    expect(nameless.stderr).toEqual([expect.stringMatching(/^courier: cannot reach the gateway at http:\/\/nohost\.invalid: [a-z ]*name/)]);
  });

  test('a limit, which history waits for where it reads page after page', async () => {
    await using gateway = await startGateway({ COURIER_LIMITS: '{"admin": {"queriesPerSecond": 1}}' });
    const admin = gateway.httpClient(await gateway.token('root', 'admin'));
    const events = ['a', 'b', 'c'].map(
      (job_id) => ({ type: 'forge.job.started', channel: 'global', data: { job_id, kind: 'k' } }) as const,
    );
    await admin.events.publishBatch.mutate(events);
    await using all = runCli(['history', '**', '--all', '--limit', '1', '--json'], forGateway(gateway));
    expect([await all.exit, all.stdout.length]).toEqual([0, 3]);
  });

  test('an empty token, which is not the same as none', async () => {
    await using gateway = await startGateway();
    await using variable = runCli(['stats'], { ...forGateway(gateway), COURIER_TOKEN: '' });
    expect([await variable.exit, variable.stderr.join()]).toEqual([
      2,
      expect.stringMatching(/^courier: COURIER_TOKEN is empty, as after a /),
    ]);
    await using option = runCli(['history', '**', '--token', ''], forGateway(gateway));
    expect([await option.exit, option.stderr.join()]).toEqual([2, expect.stringMatching(/^courier: --token is empty, as after a /)]);
  });

  test('a token that was signed here with the key of another gateway', async () => {
    using folder = temporaryFolder();
    await using gateway = await startGateway();
    writeFileSync(folder.file('development-secret'), 'x'.repeat(32));
    const url = { COURIER_URL: gateway.url };
    for (const [env, source, remedy] of [
      [{ COURIER_LOG: `sqlite:${folder.file('a.db')}` }, folder.file('development-secret'), 'COURIER_LOG'],
      [{ COURIER_JWT_SECRET: 'y'.repeat(32) }, 'COURIER_JWT_SECRET', 'COURIER_JWT_SECRET'],
    ] as const) {
      for (const command of [['stats'], ['history', '**'], ['tail'], ['backup', folder.file('b.db')]]) {
        await using run = runCli(command, { ...url, ...env });
        expect([await run.exit, run.stderr]).toEqual([
          3,
          [
            `courier: the token is not valid: its signature does not match: it was signed with ${source}, and the gateway has another key: set ${remedy} to the gateway's, or COURIER_TOKEN`,
          ],
        ]);
      }
    }
    await using given = runCli(['stats'], {
      ...url,
      COURIER_TOKEN: await signToken({ ...TOKENS, secret: 'z'.repeat(32) }, { sub: 'ada', role: 'user', expiresInSeconds: 60 }),
    });
    expect([await given.exit, given.stderr]).toEqual([3, ['courier: the token is not valid: its signature does not match']]);
  });

  const COMMANDS = [
    ['stats'],
    ['health'],
    ['history', 'global'],
    ['tail'],
    ['publish', 'forge.job.j', 'forge.job.progress', progress(0.5)],
  ];

  test.each(COMMANDS)('an address with a path too many, or https where http is spoken: %s', async (...command) => {
    await using gateway = await startGateway();
    const said = async (url: string) => {
      await using run = runCli([...command, '--url', url], { COURIER_JWT_SECRET: SECRET });
      return [await run.exit, run.stdout, run.stderr];
    };
    for (const path of ['trpc', 'trpc/x', 'admin', 'ws']) {
      const url = `${gateway.url}/${path}`;
      expect(await said(url)).toEqual([1, [], [`courier: there is no gateway at this path of ${url}: check it against COURIER_BASE_PATH`]]);
    }
    const secure = gateway.url.replace('http:', 'https:');
    expect(await said(secure)).toEqual([1, [], [`courier: what answers at ${secure} does not speak https: is it ${gateway.url}?`]]);
  });

  test.each(COMMANDS)('a path or a server that is no gateway: %s', async (...command) => {
    await using gateway = await startGateway({ COURIER_BASE_PATH: '/courier' });
    let [status, headers]: [number, OutgoingHttpHeaders] = [200, {}];
    const page = createServer((_req, res) =>
      res.writeHead(status, { 'content-type': 'text/html', ...headers }).end('<h1>Welcome</h1>'),
    ).listen(0, '127.0.0.1');
    await using stack = new AsyncDisposableStack();
    stack.defer(() => void page.close());
    await once(page, 'listening');
    const said = async (url: string) => {
      await using run = runCli([...command, '--url', url], { COURIER_JWT_SECRET: SECRET });
      return [await run.exit, run.stderr];
    };
    const beside = gateway.url.replace('/courier', '/elsewhere');
    expect(await said(beside)).toEqual([1, [`courier: there is no gateway at this path of ${beside}: check it against COURIER_BASE_PATH`]]);
    const other = `http://127.0.0.1:${(page.address() as AddressInfo).port}`;
    expect(await said(other)).toEqual([1, [`courier: what answers at ${other} is no gateway (HTTP 200): check the address`]]);
    status = 502;
    expect(await said(other)).toEqual([1, [`courier: the proxy at ${other} does not reach the gateway (HTTP 502)`]]);
    [status, headers] = [504, { 'x-courier-contract': 'x' }];
    expect(await said(other)).toEqual([1, [`courier: the proxy at ${other} does not reach the gateway (HTTP 504)`]]);
    [status, headers] = [301, { location: 'https://courier.example/' }];
    const onwards = 'it sends callers on to https://courier.example/: give the address of the gateway there';
    expect(await said(other)).toEqual([1, [`courier: what answers at ${other} is no gateway (HTTP 301): ${onwards}`]]);
  });

  test('wrong usage', async () => {
    await using run = runCli(['tail', '--limit', '0']);
    expect(await run.exit).toBe(2);
    expect(run.stderr[0]).toMatch(/--limit <count>.*argument '0' is invalid. give a whole number of 1 or more/);
  });

  test('a type that the gateway does not have', async () => {
    await using gateway = await startGateway();
    for (const command of [['tail'], ['history', '**']]) {
      await using run = runCli([...command, '--types', 'trade.exploded'], forGateway(gateway));
      expect([await run.exit, run.stderr.length]).toEqual([1, 1]);
      expect(run.stderr[0]).toMatch(/^courier: types\.0: .*backtest\.started/);
    }
  });

  test('a wrong configuration', async () => {
    await using serve = runCli(['serve'], { COURIER_PORT: 'http' });
    expect(await serve.exit).toBe(2);
    expect(serve.stderr).toEqual(['courier: COURIER_PORT must be a whole number from 0 to 65535']);
  });

  test('a variable that nothing reads', async () => {
    const env = { COURIER_LOGLEVEL: 'debug', COURIER_PROXIES: 'private', COURIER_TOKEN: 'x' };
    await using serve = runCli(['serve'], env);
    expect(await serve.exit).toBe(2);
    expect(serve.stderr).toEqual([
      'courier: COURIER_LOGLEVEL is no variable of Courier: is COURIER_LOG_LEVEL meant? Otherwise unset it',
      'courier: COURIER_PROXIES is no variable of Courier: is COURIER_TRUSTED_PROXIES meant? Otherwise unset it',
    ]);
  });

  test.each([
    [{ COURIER_LOG: 'memory:' }, 0, 'the configuration is right'],
    [{ COURIER_LOGG: 'memory:' }, 2, 'courier: COURIER_LOGG is no variable of Courier: is COURIER_LOG meant? Otherwise unset it'],
    [
      { COURIER_LIMITS: '{"channels":{"backtst.*":{"publishPerSecond":5}}}' },
      2,
      expect.stringMatching(/^courier: COURIER_LIMITS channels\.backtst\.\*: "backtst\.\*" can match no channel/),
    ],
  ])('a configuration that is only to be looked at: %j', async (env, code, line) => {
    await using check = runCli(['serve', '--check'], env);
    expect(await check.exit).toBe(code);
    expect([...check.stdout, ...check.stderr]).toEqual([line]);
  });

  test('a variable that nothing reads is told by the commands beside the gateway, which go on', async () => {
    await using token = runCli(['token', '--sub', 'ada'], {
      COURIER_LOG: 'memory:',
      COURIER_JWT_SECRET: 's'.repeat(32),
      COURIER_PROXIES: 'private',
    });
    expect(await token.exit).toBe(0);
    expect(token.stderr[0]).toContain('COURIER_PROXIES is no variable of Courier: is COURIER_TRUSTED_PROXIES meant?');
  });
});

describe('for those who run it', () => {
  const CLIENTS = ['courier-client-python/0.1.0', 'courier-client-typescript/0.1.0', 'courier-client-python/0.1.0'];

  /** Sockets of `ada`, each of a client. */
  async function connectClients(gateway: TestGateway) {
    const stack = new AsyncDisposableStack();
    const url = `${gateway.url.replace('http', 'ws')}/ws/global?token=${await gateway.token('ada')}`;
    const sockets = await Promise.all(CLIENTS.map((client) => openSocket(url, { headers: { 'x-courier-client': client } })));
    for (const socket of sockets) await stack.use(socket).count(1);
    return { sockets, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }
  const words = (line: string) => line.trim().split(/ {2,}/);

  test('stats shows the clients as a table', async () => {
    await using gateway = await startGateway();
    await using _connected = await connectClients(gateway);
    await using stats = runCli(['stats'], forGateway(gateway));
    expect(await stats.exit).toBe(0);
    const start = stats.stdout.indexOf('clients');
    expect(stats.stdout.slice(start, start + 5).map(words)).toEqual([
      ['clients'],
      ['client', 'contract', 'connections'],
      ['courier-client-python/0.1.0', '-', '2'],
      ['courier-client-typescript/0.1.0', '-', '1'],
      ['subscriptions', '3'],
    ]);
    expect(stats.stdout).toContainEqual(expect.stringMatching(/^contract +[0-9a-f]{16}$/));
    expect(stats.stdout).toContainEqual(expect.stringMatching(/^uptime +[\d.]+ s$/));
  });

  test('connections shows who is there, of one only where asked, as a table or as JSON', async () => {
    await using gateway = await startGateway();
    await using _connected = await connectClients(gateway);
    await using table = runCli(['connections'], forGateway(gateway));
    expect(await table.exit).toBe(0);
    const [names = [], ...rows] = table.stdout.map(words);
    expect(rows.map((row) => row[names.indexOf('client')]).sort()).toEqual([...CLIENTS].sort());
    await using json = runCli(['connections', '--sub', 'ada', '--json'], forGateway(gateway));
    expect(await json.exit).toBe(0);
    expect(json.stdout.map((line) => JSON.parse(line))).toMatchObject(Array(3).fill({ sub: 'ada', contract: null, subscriptions: 1 }));
    await using nobody = runCli(['connections', '--sub', 'eve'], forGateway(gateway));
    expect([await nobody.exit, nobody.stdout, nobody.stderr]).toEqual([0, [], ['none']]);
  });

  test('revoke ends the connections of a sub, or refuses one token', async () => {
    await using gateway = await startGateway();
    await using connected = await connectClients(gateway);
    await using bySub = runCli(['revoke', '--sub', 'ada'], forGateway(gateway));
    expect([await bySub.exit, bySub.stdout]).toEqual([0, ['revoked; connections that ended: 3']]);
    for (const socket of connected.sockets) expect(await socket.closed).toEqual({ code: 1008, reason: 'the token was revoked' });
    const token = await gateway.token('eve', 'user', { jti: 'lost' });
    await using byRole = runCli(['revoke', '--sub', 'eve', '--role', 'service'], forGateway(gateway));
    expect([await byRole.exit, byRole.stdout]).toEqual([0, ['revoked; connections that ended: 0']]);
    expect(await gateway.httpClient(token).auth.whoami.query()).toMatchObject({ sub: 'eve', role: 'user' });
    await using byId = runCli(['revoke', '--jti', 'lost', '--json'], forGateway(gateway));
    expect([await byId.exit, byId.stdout]).toEqual([0, ['{"ended":0}']]);
    await expect(gateway.httpClient(token).auth.whoami.query()).rejects.toMatchObject({ data: { code: 'UNAUTHORIZED' } });
  });

  test.each([
    [['revoke']],
    [['revoke', '--role', 'user']],
    [['revoke', '--sub', 'ada', '--jti', 'lost']],
    [['revoke', '--role', 'user', '--jti', 'lost']],
  ])('%j is wrong usage', async (args) => {
    await using run = runCli(args, { COURIER_JWT_SECRET: SECRET });
    expect([await run.exit, run.stderr.join()]).toEqual([2, expect.stringMatching(/^error: .*--jti/)]);
  });

  test('neither is for others', async () => {
    await using gateway = await startGateway();
    const env = { ...forGateway(gateway), COURIER_TOKEN: await gateway.token('forge', 'service') };
    for (const args of [['connections'], ['revoke', '--sub', 'ada']]) {
      await using run = runCli(args, env);
      expect([await run.exit, run.stderr]).toEqual([3, ['courier: this is for admins']]);
    }
  });
});

test('stats, health and token', async () => {
  await using gateway = await startGateway();
  await using stats = runCli(['stats', '--json'], forGateway(gateway));
  expect(await stats.exit).toBe(0);
  expect(JSON.parse(stats.stdout[0] ?? '')).toMatchObject({ version: '0.1.0', log: { events: 0 } });
  await using health = runCli(['health'], forGateway(gateway));
  expect(await health.exit).toBe(0);
  expect(health.stdout[0]).toMatch(/^status +healthy$/);
  await using token = runCli(['token', '--sub', 'ada', '--publish', 'user.*'], forGateway(gateway));
  expect(await token.exit).toBe(0);
  const whoami = await gateway.httpClient(token.stdout[0] ?? '').auth.whoami.query();
  expect(whoami).toMatchObject({ sub: 'ada', role: 'user', may_subscribe: ['global', 'user.ada'], may_publish: ['user.*'] });
});

test.each([
  [['--sub', 'forge'], '--role must be service, as forge is the name of one'],
  [['--sub', 'ada', '--expires', '3d'], '--expires is later than 2 days after iat, which is the most that COURIER_JWT_MAX_DAYS allows'],
  [['--sub', 'a b'], '--sub must be 1 to 128 printable ASCII characters'],
  [['--sub', 'ada', '--publish', 'nope'], '--publish: "nope" '],
  [['--sub', 'ada', '--subscribe', 'global', 'nope.*'], '--subscribe: "nope.*" '],
  [['--sub', 'root', '--role', 'admin', '--subscribe', 'nope'], '--subscribe: "nope" '],
  [['--sub', 'ada', '--publish', ...Array.from({ length: 101 }, () => 'global')], '--publish must have at most 100 '],
])('token %j is not printed, as it would be refused', async (args, reason) => {
  await using run = runCli(['token', ...args], { COURIER_JWT_SECRET: SECRET, COURIER_JWT_MAX_DAYS: '2' });
  expect([await run.exit, run.stdout, run.stderr.join()]).toEqual([2, [], expect.stringContaining(`courier: ${reason}`)]);
});

test('a token of a service that the contract does not have may read, which is told', async () => {
  await using gateway = await startGateway();
  await using run = runCli(['token', '--sub', 'risk', '--role', 'service'], { COURIER_JWT_SECRET: SECRET });
  expect([await run.exit, run.stderr]).toEqual([
    0,
    [expect.stringMatching(/^courier: --sub risk is no service of the contract \(.*\bforge\b.*\): it may read, and publishes nothing$/)],
  ]);
  const risk = gateway.httpClient(run.stdout[0] ?? '');
  await expect(risk.events.history.query({ channels: ['**'] })).resolves.toMatchObject({ events: [] });
  const job = { type: 'forge.job.started', channel: 'global', data: { job_id: 'j', kind: 'k' } } as const;
  await expect(risk.events.publish.mutate(job)).rejects.toMatchObject({ data: { code: 'FORBIDDEN' } });
});

test.each(['0h', '00s', '1', '1w', '-1h'])('a token cannot be valid for %s', async (time) => {
  await using run = runCli(['token', '--sub', 'ada', `--expires=${time}`], { COURIER_JWT_SECRET: SECRET });
  expect([await run.exit, run.stdout, run.stderr.join()]).toEqual([
    2,
    [],
    expect.stringContaining('give a whole number of 1 or more and s, m, h or d'),
  ]);
});
