/** A process that may open few files: who comes too late is told to come back, and the health is answered all the same. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/folder.ts';
import { Peer } from '../helpers/peer.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { UPGRADE } from '../helpers/transports.ts';
import { report } from './ledger.ts';
import { connect as connectTrpc } from './load.ts';

const DESCRIPTORS = 150;
const CLIENTS = 400;

interface Line {
  readonly level: string;
  readonly message: string;
  readonly context?: { readonly action?: string };
}

test('all descriptors are taken by sockets that say nothing', { timeout: 60_000 }, async ({ task }) => {
  using folder = temporaryFolder();
  const under = ['bash', '-c', `ulimit -n ${DESCRIPTORS}; exec "$@"`, 'limited'];
  await using gateway = await startProcess({ COURIER_LOG: `sqlite:${folder.file('courier.db')}` }, { under });
  const lines: Line[] = [];
  gateway.child.stdout?.on('data', (chunk: Buffer) => {
    for (const line of String(chunk).split('\n').filter(Boolean)) lines.push(JSON.parse(line) as Line);
  });
  const port = Number(new URL(gateway.url).port);
  const token = await processToken('forge', 'service');
  const health = async () =>
    ((await (await fetch(`${gateway.url}/health`)).json()) as { components: { websocket_server: { status: string; action?: string } } })
      .components.websocket_server;
  const publish = () =>
    fetch(`${gateway.url}/publish/forge.job.j`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ type: 'forge.job.progress', data: { job_id: 'j', progress: 0.5 } }),
    });
  expect((await publish()).status).toBe(201);
  const sockets: Socket[] = [];
  const open = async () => {
    for (let n = 0; n < CLIENTS; n += 1) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      sockets.push(socket);
      await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
    }
  };
  await open();
  expect(await health()).toMatchObject({
    status: 'degraded',
    action: expect.stringMatching(/^there are descriptors for \d+ sockets, and all are taken: raise the limit of open files/),
  });
  const refused = await publish();
  expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toMatchObject([
    503,
    '1',
    { code: 'SERVICE_UNAVAILABLE' },
  ]);
  await using upgrade = new Peer({ port, target: `/ws/global?token=${token}`, headers: UPGRADE, read: () => ({}) });
  await upgrade.gone;
  expect(upgrade.status).toBe(503);
  for (const socket of sockets.splice(0)) socket.destroy();
  await expect.poll(health).toMatchObject({ status: 'healthy' });
  expect((await publish()).status).toBe(201);
  const told = lines.filter(({ message }) => message === 'running out of descriptors');
  expect(told).toMatchObject([{ level: 'WARN', context: { action: expect.stringContaining('ulimit -n') } }]);
  await expect.poll(() => lines.filter(({ message }) => message === 'descriptors are free again')).toMatchObject([{ level: 'INFO' }]);
  report(task, 31, `${CLIENTS} sockets that say nothing, ${DESCRIPTORS} descriptors`, { 'told in the log': told.length, refused: 503 });
  expect(await gateway.end('SIGTERM')).toBe(0);
});

test('no descriptor is left for anything: told once, whatever meets it, and again only after it was over', {
  timeout: 60_000,
}, async () => {
  using folder = temporaryFolder();
  const env = {
    COURIER_LOG: `sqlite:${folder.file('courier.db')}`,
    NODE_OPTIONS: `--import=${new URL('../observe/hog.ts', import.meta.url)}`,
  };
  await using gateway = await startProcess(env, { under: ['bash', '-c', `ulimit -n ${DESCRIPTORS}; exec "$@"`, 'limited'] });
  let logged = '';
  gateway.child.stdout?.on('data', (chunk) => {
    logged += String(chunk);
  });
  const troubles = () =>
    logged
      .split('\n')
      .filter((line) => line.includes('"action":"no more files') || line.includes('descriptors are free again'))
      .map((line) => (JSON.parse(line) as Line).level);
  const hog = async () => {
    gateway.child.kill('SIGUSR2');
    await once(gateway.child.stderr as NodeJS.ReadableStream, 'data');
  };
  await using admin = connectTrpc(gateway.url, await processToken('root', 'admin'));
  const revoke = (sub: string) => admin.trpc.admin.revoke.mutate({ sub });
  await revoke('first');
  await hog();
  for (let n = 0; n < 30; n += 1) await expect(revoke(`s-${n}`)).rejects.toMatchObject({ data: { code: 'SERVICE_UNAVAILABLE' } });
  // Nobody can come in, and that ends nothing.
  await expect(fetch(`${gateway.url}/livez`)).rejects.toThrow();
  expect(
    await admin.trpc.forge.publish.mutate({ type: 'forge.job.progress', channel: 'forge.job.j', data: { job_id: 'j', progress: 1 } }),
  ).toMatchObject({ duplicate: false });
  expect(troubles()).toEqual(['ERROR']);
  await hog();
  await revoke('after');
  await expect.poll(troubles, { timeout: 15_000 }).toEqual(['ERROR', 'INFO']);
  await hog();
  await expect(revoke('again')).rejects.toThrow();
  await expect.poll(troubles).toEqual(['ERROR', 'INFO', 'ERROR']);
  await hog();
  expect(await gateway.end('SIGTERM')).toBe(0);
});
