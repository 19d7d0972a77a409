/** Acknowledgements: never before the sync, never lost for good, never given for more than one event. */
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, watch as watchFolder } from 'node:fs';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';
import { createDatabase, postgresProgram } from '../../scripts/servers.ts';
import { runCli } from '../helpers/cli.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { EXACT, type Item, Ledger, LONG, report, seqOf } from './ledger.ts';
import { connect, startLoad, storedEvents, watch } from './load.ts';

interface Receipt {
  readonly id: string;
  readonly duplicate: boolean;
}

function publishPlainly(url: string, token: string, key: string): Promise<Receipt> {
  return fetch(`${url}/publish/forge.job.j`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify({ type: 'forge.job.progress', data: { job_id: 'j', progress: 0.5, step: key } }),
  }).then((response) => response.json() as Promise<Receipt>);
}

const canTrace = spawnSync('strace', ['-D', '-o', '/dev/null', 'true']).status === 0;

// Needs strace and the right to use it; where these are missing there is nothing to run.
if (canTrace) {
  test('every acknowledgement follows a sync of its own', { timeout: 60_000 }, async ({ task }) => {
    const publishes = LONG ? 500 : 50;
    using folder = temporaryFolder();
    const trace = folder.file('trace');
    const calls = 'trace=fdatasync,fsync,write,writev,sendto,sendmsg';
    const token = await processToken('forge', 'service');
    {
      await using gateway = await startProcess(
        { COURIER_LOG: `sqlite:${folder.file('courier.db')}` },
        { under: ['strace', '-D', '-f', '-qq', '-e', calls, '-o', trace] },
      );
      // One after another, so that no two can share a sync.
      for (let n = 0; n < publishes; n += 1) await publishPlainly(gateway.url, token, `k${n}`);
      await gateway.end('SIGTERM');
    }
    let syncs = 0;
    let acknowledged = 0;
    let early = 0;
    let syncsBefore = 0;
    for (const line of readFileSync(trace, 'utf8').split('\n')) {
      if (/(fdatasync|fsync)(\(\d+\)| resumed>\)) += 0$/.test(line)) syncs += 1;
      if (!line.includes('HTTP/1.1 201')) continue;
      acknowledged += 1;
      if (syncs === syncsBefore) early += 1;
      syncsBefore = syncs;
    }
    report(task, 2, 'acknowledgements before their sync (strace)', { acknowledged, syncs, early });
    expect(acknowledged).toBe(publishes);
    expect(early).toBe(0);
  });
}

/** Forwards to `target`; cuts a connection instead of passing on the first answer that contains `fatal`. */
async function startCuttingProxy(target: number, fatal: string) {
  let cut = false;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connectTcp(target, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    client.pipe(upstream);
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    upstream.on('data', (chunk: Buffer) => {
      if (cut || !chunk.includes(fatal)) client.write(chunk);
      else {
        cut = true;
        client.destroy();
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get hasCut() {
      return cut;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

test('the acknowledgement is lost after the commit', async ({ task }) => {
  using folder = temporaryFolder();
  await using gateway = await startProcess({ COURIER_LOG: `sqlite:${folder.file('courier.db')}` });
  const token = await processToken('forge', 'service');
  const port = Number(new URL(gateway.url).port);

  await using http = await startCuttingProxy(port, '201 Created');
  await expect(publishPlainly(http.url, token, 'first')).rejects.toThrow();
  expect(http.hasCut).toBe(true);
  const overHttp = await publishPlainly(http.url, token, 'first');
  expect(overHttp).toMatchObject({ duplicate: true, id: expect.stringMatching(/-1$/) });

  await using webSocket = await startCuttingProxy(port, '"result":{"type":"data"');
  await using client = connect(webSocket.url, token);
  const publish = () =>
    client.trpc.forge.publish.mutate({
      type: 'forge.job.progress',
      channel: 'forge.job.j',
      data: { job_id: 'j', progress: 0.5, step: 'second' },
      idempotency_key: 'second',
    });
  await expect(publish()).rejects.toThrow();
  expect(webSocket.hasCut).toBe(true);
  const overWebSocket = await publish();
  expect(overWebSocket).toMatchObject({ duplicate: true, id: expect.stringMatching(/-2$/) });

  const stored = await storedEvents(gateway.url, token);
  report(task, 5, 'the acknowledgement is lost, the publish repeated', {
    acknowledged: 2,
    stored: stored.length,
    duplicated: stored.length - 2,
  });
  expect(stored.map(({ text }) => text)).toEqual(['first', 'second']);
});

test('one idempotency key from many publishers at once', async ({ task }) => {
  using folder = temporaryFolder();
  await using gateway = await startProcess({ COURIER_LOG: `sqlite:${folder.file('courier.db')}` });
  const token = await processToken('forge', 'service');
  const other = await processToken('ops', 'admin');
  const keys = LONG ? 200 : 20;
  const publishers = 20;
  await using watching = watch(gateway.url, token);
  const ledger = new Ledger();
  let first = 0;
  for (let n = 0; n < keys; n += 1) {
    const receipts = await Promise.all(Array.from({ length: publishers }, () => publishPlainly(gateway.url, token, `key${n}`)));
    for (const { id, duplicate } of receipts) {
      ledger.acknowledge(id, `key${n}`);
      if (!duplicate) first += 1;
    }
  }
  // A key belongs to its principal: for another it is new.
  expect(await publishPlainly(gateway.url, other, 'key0')).toMatchObject({ duplicate: false });
  const stored = (await storedEvents(gateway.url, token)).slice(0, -1);
  await watching.count(keys + 1);
  const figures = ledger.compare(stored, watching.items.slice(0, -1));
  report(task, 19, `one key from ${publishers} publishers at once`, { ...figures, keys, publishes: keys * publishers });
  expect(figures).toMatchObject({ ...EXACT, stored: keys });
  expect(first).toBe(keys);
});

/** What a backup has: everything that was acknowledged before it began, and of the rest a beginning without holes. */
async function expectRestored(url: string, token: string, before: Ledger, later: Ledger): Promise<{ stored: Item[]; lost: number }> {
  const stored = await storedEvents(url, token);
  expect(stored.map(seqOf)).toEqual(Array.from({ length: stored.length }, (_, index) => index + 1));
  const figures = before.compare(stored, stored);
  expect(figures).toMatchObject(EXACT);
  expect(new Set(stored.map(({ text }) => text)).size).toBe(stored.length);
  const { acknowledged, lost } = later.compare(stored, stored);
  expect(lost).toBeGreaterThan(0);
  expect(lost).toBeLessThanOrEqual(acknowledged);
  return { stored, lost };
}

/** Comes back with a position that the restored log has, and with one that it has lost. */
async function resumeBoth(url: string, token: string, stored: readonly Item[], lostId: string) {
  await using known = watch(url, token, { lastEventId: stored[9]?.id ?? '' });
  await known.count(stored.length - 10);
  expect(known.notices).not.toContain('courier.gap');
  expect(known.items).toEqual(stored.slice(10));
  await using lost = watch(url, token, { lastEventId: lostId });
  await expect.poll(() => lost.notices).toEqual(['courier.gap', 'courier.live']);
  expect(lost.gaps).toEqual([{ reason: 'epoch', requested: lostId, resumed_from: stored.at(-1)?.id }]);
  expect(lost.items).toEqual([]);
}

test('a backup is made under load, the gateway killed, and the backup restored', { timeout: 120_000 }, async ({ task }) => {
  using folder = temporaryFolder();
  const path = folder.file('courier.db');
  const env = { COURIER_LOG: `sqlite:${path}` };
  const token = await processToken('forge', 'service');
  const [before, later] = [new Ledger(), new Ledger()];
  let lostId = '';
  {
    await using gateway = await startProcess(env);
    const { url } = gateway;
    await using first = startLoad({ url, token, ledger: before, inFlight: 8, batch: 20, padding: 500 });
    await first.more(LONG ? 100_000 : 5000);
    await first.stop();
    await using second = startLoad({ url, token, ledger: later, inFlight: 4, padding: 500 });
    await second.more(10);
    await using cli = runCli(['backup', folder.file('backup.db')], {
      COURIER_URL: url,
      COURIER_TOKEN: await processToken('root', 'admin'),
    });
    expect([await cli.exit, cli.stderr]).toEqual([0, []]);
    await second.more(200);
    await second.stop();
    lostId = (await storedEvents(url, token)).at(-1)?.id ?? '';
    expect(await gateway.end('SIGKILL')).toBe('SIGKILL');
  }
  rmSync(`${path}-wal`);
  copyFileSync(folder.file('backup.db'), path);
  await using gateway = await startProcess({ COURIER_LOG: `sqlite:${path}?mode=rw` });
  const { stored, lost } = await expectRestored(gateway.url, token, before, later);
  await resumeBoth(gateway.url, token, stored, lostId);
  report(task, 29, 'a backup of SQLite under load, kill -9, restored', { stored: stored.length, 'published after it': lost });
});

test('the gateway is killed while a backup is made of it', { timeout: 60_000 }, async () => {
  using folder = temporaryFolder();
  mkdirSync(folder.file('log'));
  mkdirSync(folder.file('out'));
  const env = { COURIER_LOG: `sqlite:${folder.file('log/courier.db')}` };
  const token = await processToken('forge', 'service');
  const ledger = new Ledger();
  {
    await using gateway = await startProcess(env);
    await using load = startLoad({ url: gateway.url, token, ledger, inFlight: 4, batch: 50, padding: 1000 });
    await load.more(20_000);
    await load.stop();
    const cli = { COURIER_URL: gateway.url, COURIER_TOKEN: await processToken('root', 'admin') };
    const watcher = watchFolder(folder.file('log'));
    using stack = new DisposableStack();
    stack.defer(() => watcher.close());
    const copying = new Promise<void>((resolve) => watcher.on('change', (_kind, name) => name === 'courier.db-copying' && resolve()));
    await using backup = runCli(['backup', folder.file('out/backup.db')], cli);
    await copying;
    // It is to hear of the end before it has all: there is more than sockets take.
    backup.kill('SIGSTOP');
    expect(await gateway.end('SIGKILL')).toBe('SIGKILL');
    backup.kill('SIGCONT');
    expect([await backup.exit, backup.stderr]).toEqual([1, [expect.stringMatching(/^courier: (cannot reach|the gateway broke off)/)]]);
    expect(readdirSync(folder.file('out'))).toEqual([]);
  }
  await using gateway = await startProcess(env);
  expect(readdirSync(folder.file('log')).sort()).toEqual(['courier.db', 'courier.db-wal']);
  const stored = await storedEvents(gateway.url, token);
  expect(ledger.compare(stored, stored)).toMatchObject(EXACT);
});

test('pg_dump runs under load, and its file is restored into another database', { timeout: 120_000 }, async ({ task }) => {
  using folder = temporaryFolder();
  const token = await processToken('forge', 'service');
  const [before, later] = [new Ledger(), new Ledger()];
  const source = await createDatabase(inject('postgresUrl'));
  const target = await createDatabase(inject('postgresUrl'));
  const run = (program: string, ...args: string[]) => promisify(execFile)(postgresProgram(program), args);
  let lostId = '';
  {
    await using gateway = await startProcess({ COURIER_LOG: source });
    const { url } = gateway;
    await using first = startLoad({ url, token, ledger: before, inFlight: 8, batch: 20, padding: 500 });
    await first.more(LONG ? 100_000 : 5000);
    await first.stop();
    await using second = startLoad({ url, token, ledger: later, inFlight: 4, padding: 500 });
    await second.more(10);
    await run('pg_dump', '--format=custom', `--file=${folder.file('courier.dump')}`, source);
    await second.more(200);
    await second.stop();
    lostId = (await storedEvents(url, token)).at(-1)?.id ?? '';
    expect(await gateway.end('SIGKILL')).toBe('SIGKILL');
  }
  await run('pg_restore', '--no-owner', '--exit-on-error', `--dbname=${target}`, folder.file('courier.dump'));
  await using gateway = await startProcess({ COURIER_LOG: target });
  const { stored, lost } = await expectRestored(gateway.url, token, before, later);
  await resumeBoth(gateway.url, token, stored, lostId);
  report(task, 29, 'pg_dump under load, kill -9, restored', { stored: stored.length, 'published after it': lost });
});

test('the log is restored to an earlier state, or replaced', async ({ task }) => {
  using folder = temporaryFolder();
  const path = folder.file('courier.db');
  const env: Record<string, string> = { COURIER_LOG: `sqlite:${path}` };
  const token = await processToken('forge', 'service');
  const publish = async (url: string, count: number, text: string) => {
    for (let n = 0; n < count; n += 1) await publishPlainly(url, token, `${text}${n}`);
  };
  const run = async <T>(work: (url: string) => Promise<T>): Promise<T> => {
    await using gateway = await startProcess(env);
    env['COURIER_PORT'] = new URL(gateway.url).port;
    const result = await work(gateway.url);
    expect(await gateway.end('SIGTERM')).toBe(0);
    return result;
  };
  const reasons: unknown[] = [];
  const resume = async (url: string, lastEventId: string) => {
    await using watching = watch(url, token, { from: 'earliest', lastEventId });
    await expect.poll(() => watching.notices).toContain('courier.live');
    return watching;
  };
  await run((url) => publish(url, 5, 'kept'));
  copyFileSync(path, folder.file('backup.db'));
  const last = await run(async (url) => {
    await publish(url, 5, 'gone');
    return (await storedEvents(url, token)).at(-1)?.id ?? '';
  });

  copyFileSync(folder.file('backup.db'), path);
  const shrunk = await run((url) => resume(url, last));
  expect(shrunk.notices).toEqual(['courier.gap', 'courier.live']);
  reasons.push(...shrunk.gaps.map((gap) => ('reason' in gap ? gap.reason : gap)));

  // The same number now belongs to another event: a silent resume would skip the ones before it.
  copyFileSync(folder.file('backup.db'), path);
  const regrown = await run(async (url) => {
    await publish(url, 10, 'new');
    return resume(url, last);
  });
  expect(regrown.notices).toEqual(['courier.gap', 'courier.live']);
  reasons.push(...regrown.gaps.map((gap) => ('reason' in gap ? gap.reason : gap)));
  expect(regrown.items.map(({ text }) => text)).toEqual([
    ...Array.from({ length: 5 }, (_, n) => `kept${n}`),
    ...Array.from({ length: 10 }, (_, n) => `new${n}`),
  ]);

  env['COURIER_LOG'] = `sqlite:${folder.file('other.db')}`;
  const replaced = await run(async (url) => {
    await publish(url, 20, 'other');
    return resume(url, last);
  });
  expect(replaced.notices).toEqual(['courier.gap', 'courier.live']);
  expect(replaced.items).toHaveLength(20);
  reasons.push(...replaced.gaps.map((gap) => ('reason' in gap ? gap.reason : gap)));
  report(task, 6, 'the log restored, restored and grown, replaced', { notices: reasons.join(' ') });
  expect(reasons).toEqual(['epoch', 'epoch', 'epoch']);
});
