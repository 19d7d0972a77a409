/** A process that may open few files: who comes too late is told to come back, and the health is answered all the same. */
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/folder.ts';
import { Peer } from '../helpers/peer.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { UPGRADE } from '../helpers/transports.ts';
import { report } from './ledger.ts';

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
  report(task, 31, `${CLIENTS} sockets that say nothing, ${DESCRIPTORS} descriptors`, { 'told in the log': told.length, refused: 503 });
  expect(await gateway.end('SIGTERM')).toBe(0);
});
