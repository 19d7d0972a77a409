/** `courier backup`: a file that is whole, checked and on disk, or none; and nothing that was there is touched. */
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { inspectLogFile } from '../../src/log/sqlite/schema.ts';
import { openSqliteLog } from '../../src/log/sqlite.ts';
import { runCli } from '../helpers/cli.ts';
import { newEvents } from '../helpers/events.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { SECRET, startGateway } from '../helpers/gateway.ts';

const forGateway = (gateway: { readonly url: string }) => ({ COURIER_URL: gateway.url, COURIER_JWT_SECRET: SECRET });

async function run(args: readonly string[], env: Record<string, string>) {
  await using cli = runCli(['backup', ...args], env);
  return { code: await cli.exit, stdout: cli.stdout, stderr: cli.stderr };
}

async function filledLog(path: string): Promise<void> {
  await using log = await openSqliteLog({ path });
  await log.append(newEvents(300, 'global', { size: 500 }));
}

describe('beside a running gateway', () => {
  test('it says what it has made', async () => {
    using folder = temporaryFolder();
    const out = folder.file('out');
    mkdirSync(out);
    await using gateway = await startGateway({ COURIER_LOG: `sqlite:${folder.file('courier.db')}` });
    await gateway.pipeline.log.append(newEvents(300, 'global', { size: 500 }));
    const last = gateway.pipeline.log.positions.at(300);
    const told = new RegExp(`^${out}/a\\.db: 300 events, the last one ${last}; \\d+\\.\\d MiB, version \\d+, checked and synced$`);
    expect(await run([`${out}/a.db`], forGateway(gateway))).toEqual({ code: 0, stdout: [expect.stringMatching(told)], stderr: [] });
    const json = await run([`${out}/b.db`, '--json'], forGateway(gateway));
    expect(json).toMatchObject({ code: 0, stderr: [] });
    const first = gateway.pipeline.log.positions.at(1);
    const figures = {
      file: `${out}/b.db`,
      bytes: statSync(`${out}/b.db`).size,
      schema_version: expect.any(Number),
      events: 300,
      first,
      last,
    };
    expect(json.stdout.map((line) => JSON.parse(line))).toEqual([figures]);
    expect(inspectLogFile(`${out}/a.db`)).toMatchObject({ events: 300, last });
    expect(readdirSync(out).sort()).toEqual(['a.db', 'b.db']);
    for (const name of ['a.db', 'b.db']) expect(statSync(`${out}/${name}`).mode & 0o777).toBe(0o600);
  });

  test('nothing that is there is touched', async () => {
    using folder = temporaryFolder();
    await using gateway = await startGateway({ COURIER_LOG: `sqlite:${folder.file('courier.db')}` });
    writeFileSync(folder.file('taken'), 'mine');
    mkdirSync(folder.file('folder'));
    symlinkSync(folder.file('nowhere'), folder.file('link'));
    const before = readdirSync(folder.path).sort();
    const refusal = async (name: string) => {
      const { code, stdout, stderr } = await run([folder.file(name)], forGateway(gateway));
      expect([code, stdout]).toEqual([1, []]);
      return stderr.join();
    };
    for (const name of ['taken', 'courier.db', 'link']) {
      expect(await refusal(name)).toBe(`courier: ${folder.file(name)} is there already, and is not overwritten`);
    }
    expect(await refusal('folder')).toBe(`courier: ${folder.file('folder')} is a folder: name a file in it`);
    expect(await refusal('new.db-wal')).toMatch(/has a name that SQLite gives to files of its own/);
    expect(await refusal('no/such/file')).toMatch(/cannot be made: there is no folder .*\/no\/such$/);
    expect(await refusal('taken/file')).toMatch(/cannot be made: .*\/taken is no folder$/);
    expect(await refusal('x'.repeat(300))).toMatch(/x cannot be made: its name is too long for the file system$/);
    expect(await refusal('new/')).toBe(`courier: ${folder.file('new/')} is the name of a folder: name a file in it`);
    expect(readFileSync(folder.file('taken'), 'utf8')).toBe('mine');
    expect(readdirSync(folder.path).sort()).toEqual(before);
  });

  test('a name may be as long as the file system lets it', async () => {
    using folder = temporaryFolder();
    await using gateway = await startGateway({ COURIER_LOG: `sqlite:${folder.file('courier.db')}` });
    const name = `${'x'.repeat(252)}.db`;
    expect(await run([folder.file(name)], forGateway(gateway))).toMatchObject({ code: 0, stderr: [] });
    expect(readdirSync(folder.path)).toContain(name);
  });

  test.each<[string, string]>([
    ['', 'the name of the file is empty'],
    // Linux only.
    ...(existsSync('/proc')
      ? [['/proc/b.db', '/proc/b.db cannot be made: the folder /proc takes no files'] satisfies [string, string]]
      : []),
  ])('"%s" is no name of a file that can be made', async (name, message) => {
    expect(await run([name], {})).toEqual({ code: 1, stdout: [], stderr: [`courier: ${message}`] });
  });

  test('it is for admins, and of a log that is no file it says what to do', async () => {
    using folder = temporaryFolder();
    await using gateway = await startGateway();
    const env = forGateway(gateway);
    const token = await gateway.token('forge', 'service');
    expect(await run([folder.file('x'), '--token', token], env)).toMatchObject({ code: 3, stderr: ['courier: backups are for admins'] });
    expect(await run([folder.file('x')], env)).toMatchObject({ code: 1, stderr: [expect.stringContaining('COURIER_LOG=sqlite:PATH')] });
    const nobody = { ...env, COURIER_URL: 'http://127.0.0.1:1' };
    expect(await run([folder.file('x')], nobody)).toMatchObject({ code: 1, stderr: [expect.stringMatching(/^courier: cannot reach/)] });
    expect(readdirSync(folder.path)).toEqual([]);
  });
});

/** Answers as a gateway does, and leaves it to the test what is sent. */
async function startStandIn(answer: (res: ServerResponse) => void) {
  const server = createServer((_req, res) => {
    res.setHeader('x-courier-contract', 'x');
    res.setHeader('content-type', 'application/vnd.sqlite3');
    answer(res);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

describe('nothing is left, and it fails', () => {
  test('when the gateway breaks off', async () => {
    using folder = temporaryFolder();
    await using standIn = await startStandIn((res) => {
      res.writeHead(200, { 'content-length': 1e6 });
      res.write(Buffer.alloc(1e5), () => res.destroy());
    });
    expect(await run([folder.file('x')], forGateway(standIn))).toEqual({
      code: 1,
      stdout: [],
      stderr: ['courier: the gateway broke off, or was cut off, before all of the backup had come: look into its log'],
    });
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test('when a proxy does not wait for the copy to be made', async () => {
    using folder = temporaryFolder();
    await using standIn = await startStandIn((res) => res.writeHead(504, { 'content-type': 'text/html' }).end('<html>'));
    expect(await run([folder.file('x')], forGateway(standIn))).toEqual({
      code: 1,
      stdout: [],
      stderr: [`courier: the proxy at ${standIn.url} does not reach the gateway (HTTP 504)`],
    });
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test('when the connection ends before anything has come', async () => {
    using folder = temporaryFolder();
    await using standIn = await startStandIn((res) => res.destroy());
    expect(await run([folder.file('x')], forGateway(standIn))).toEqual({
      code: 1,
      stdout: [],
      stderr: [`courier: cannot reach the gateway at ${standIn.url}: the connection was closed before all of the answer had come`],
    });
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test('when SIGINT ends it before anything has come, or what SQLite has beside the copy is there', async () => {
    using folder = temporaryFolder();
    const asked = Promise.withResolvers<void>();
    await using standIn = await startStandIn(() => asked.resolve());
    await using cli = runCli(['backup', folder.file('x')], forGateway(standIn));
    await asked.promise;
    const [partial = ''] = readdirSync(folder.path);
    writeFileSync(folder.file(`${partial}-journal`), '');
    cli.kill('SIGINT');
    expect(await cli.exit).toBe('SIGINT');
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test.each([
    ['no database', () => Buffer.alloc(8192, 'x'), /it is not an SQLite file/],
    ['a log that is damaged', (intact: Buffer) => intact.fill(0xff, 20 * 4096, 20 * 4096 + 64), /it is damaged/],
    ['half a log', (intact: Buffer) => intact.subarray(0, Math.floor(intact.length / 8192) * 4096), /it is damaged/],
  ])('when what came is %s', async (_name, made, message) => {
    using folder = temporaryFolder();
    await filledLog(folder.file('log.db'));
    const sent = made(readFileSync(folder.file('log.db')));
    mkdirSync(folder.file('out'));
    await using standIn = await startStandIn((res) => {
      // As SQLite leaves it when it is not let finish.
      for (const partial of readdirSync(folder.file('out'))) writeFileSync(folder.file(`out/${partial}-journal`), '');
      res.end(sent);
    });
    const { code, stderr } = await run([folder.file('out/x')], forGateway(standIn));
    expect([code, stderr.join()]).toEqual([1, expect.stringMatching(/^courier: the backup was thrown away, as it cannot be used: /)]);
    expect(stderr.join()).toMatch(message);
    expect(readdirSync(folder.file('out'))).toEqual([]);
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('when %s ends it half-way', async (signal) => {
    using folder = temporaryFolder();
    await using standIn = await startStandIn((res) => {
      res.writeHead(200, { 'content-length': 1e6 });
      res.write(Buffer.alloc(1e5));
    });
    await using cli = runCli(['backup', folder.file('x')], forGateway(standIn));
    const isHalf = () => readdirSync(folder.path).some((name) => statSync(folder.file(name)).size > 0);
    await expect.poll(isHalf, { timeout: 10_000 }).toBe(true);
    cli.kill(signal);
    expect(await cli.exit).toBe(signal);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test('when somebody makes the file meanwhile, whose it stays', async () => {
    using folder = temporaryFolder();
    await filledLog(folder.file('log.db'));
    const bytes = readFileSync(folder.file('log.db'));
    mkdirSync(folder.file('out'));
    await using standIn = await startStandIn((res) => {
      writeFileSync(folder.file('out/x'), 'mine');
      res.end(bytes);
    });
    const { code, stderr } = await run([folder.file('out/x')], forGateway(standIn));
    expect([code, stderr.join()]).toEqual([1, expect.stringContaining('was made by somebody else meanwhile, and is not overwritten')]);
    expect([readdirSync(folder.file('out')), readFileSync(folder.file('out/x'), 'utf8')]).toEqual([['x'], 'mine']);
  });
});

describe('of a gateway that does not run', () => {
  const stopped = (folder: { file(name: string): string }, log = `sqlite:${folder.file('courier.db')}`) =>
    run([folder.file('x.db'), '--stopped'], { COURIER_LOG: log });

  test('the file is copied, with what a killed gateway left in the write-ahead log', async () => {
    using folder = temporaryFolder();
    {
      await using log = await openSqliteLog({ path: folder.file('log.db') });
      await log.append(newEvents(300, 'global', { size: 500 }));
      // As it is when the process is killed now.
      for (const suffix of ['', '-wal']) copyFileSync(folder.file(`log.db${suffix}`), folder.file(`courier.db${suffix}`));
    }
    expect(statSync(folder.file('courier.db-wal')).size).toBeGreaterThan(100_000);
    expect(await stopped(folder)).toMatchObject({ code: 0, stdout: [expect.stringContaining('300 events')], stderr: [] });
    expect(inspectLogFile(folder.file('x.db'))).toMatchObject({ events: 300 });
    await using log = await openSqliteLog({ path: folder.file('courier.db') });
    expect(await log.bounds()).toEqual({ first: 1, head: 300 });
  });

  test('it is refused while the gateway runs', async () => {
    using folder = temporaryFolder();
    await using _log = await openSqliteLog({ path: folder.file('courier.db') });
    expect(await stopped(folder)).toMatchObject({
      code: 1,
      stderr: [expect.stringMatching(/cannot be copied: another process is using it: leave out --stopped beside a running gateway$/)],
    });
    expect(readdirSync(folder.path).sort()).toEqual(['courier.db', 'courier.db-wal']);
  });

  test.each([
    ['memory:', /COURIER_LOG is memory:/],
    ['postgres://127.0.0.1/x', /pg_dump$/],
  ])('%s is no file', async (log, message) => {
    using folder = temporaryFolder();
    expect(await stopped(folder, log)).toMatchObject({ code: 1, stderr: [expect.stringMatching(message)] });
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test('what is no log is refused, and stays as it is', async () => {
    using folder = temporaryFolder();
    expect(await stopped(folder)).toMatchObject({ code: 1, stderr: [expect.stringMatching(/there is no such file$/)] });
    for (const [text, message] of [
      ['', /which is empty$/],
      ['some text', /it is not an SQLite file$/],
    ] as const) {
      writeFileSync(folder.file('courier.db'), text);
      expect(await stopped(folder)).toMatchObject({ code: 1, stderr: [expect.stringMatching(message)] });
      expect([readdirSync(folder.path), readFileSync(folder.file('courier.db'), 'utf8')]).toEqual([['courier.db'], text]);
    }
  });
});
