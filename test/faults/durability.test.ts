/** Acknowledgements: never before the sync, never lost for good, never given for more than one event. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/folder.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { EXACT, Ledger, LONG, report } from './ledger.ts';
import { connect, storedEvents, watch } from './load.ts';

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
