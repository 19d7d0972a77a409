/** The end of a process with connections of every kind, none of which does as it is told. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ENVIRONMENT } from '../helpers/environment.ts';
import { httpClient, SECRET, UNLIMITED, webSocketClient } from '../helpers/gateway.ts';
import { Peer } from '../helpers/peer.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { copies } from '../helpers/samples.ts';
import { TRANSPORTS, UPGRADE } from '../helpers/transports.ts';

test('SIGTERM ends it with 0 in time', async () => {
  await using gateway = await startProcess({ COURIER_LOG: 'memory:', COURIER_DRAIN_SECONDS: '10' });
  const port = Number(new URL(gateway.url).port);
  const token = await processToken('reader', 'service');
  await using stack = new AsyncDisposableStack();
  const peers = TRANSPORTS.map(({ subscribe }) => stack.use(subscribe(port, { token })));
  await Promise.all(peers.map((peer) => peer.live()));
  const stranger = stack.use(new Peer({ port, target: '/trpc?connectionParams=1', headers: UPGRADE, read: () => ({}) }));
  await stranger.until(({ status }) => status === 101);
  const headers = { authorization: `Bearer ${token}`, 'content-length': 100 };
  const slow = request(`${gateway.url}/publish`, { method: 'POST', headers, agent: false });
  slow.on('error', () => undefined);
  await new Promise((resolve) => slow.write('{', resolve));
  const began = performance.now();
  expect(await gateway.end('SIGTERM')).toBe(0);
  expect(performance.now() - began).toBeLessThan(5000);
  await Promise.all(peers.map((peer) => peer.gone));
  expect(peers.map(({ goodbye }) => goodbye?.reason)).toEqual(TRANSPORTS.map(() => 'shutting down'));
});

test.each(['json', 'pretty'])(
  'SIGTERM ends it with 0, and a second signal at once, when nobody reads its log (%s)',
  { timeout: 60_000 },
  async (format) => {
    const env = { COURIER_LOG: 'memory:', COURIER_LOG_LEVEL: 'debug', COURIER_LOG_FORMAT: format, COURIER_DRAIN_SECONDS: '10' };
    await using deaf = await startDeaf(env);
    await using twice = await startDeaf(env);
    const began = performance.now();
    deaf.child.kill('SIGTERM');
    expect(await deaf.ended).toEqual([0, null]);
    expect(performance.now() - began).toBeLessThan(8000);
    await using client = webSocketClient(twice.url, await processToken('reader', 'service'));
    await client.trpc.auth.whoami.query();
    twice.child.kill('SIGTERM');
    await expect.poll(async () => (await fetch(`${twice.url}/readyz`)).status).toBe(503);
    twice.child.kill('SIGTERM');
    expect(await twice.ended).toEqual([1, null]);
  },
);

/** A gateway whose log is read until it listens, and which has logged more since than anybody keeps for a reader. */
async function startDeaf(env: Record<string, string>) {
  const port = await freePort();
  const child = spawn(process.execPath, [fileURLToPath(new URL('../../src/main.ts', import.meta.url))], {
    env: { ...ENVIRONMENT, COURIER_PORT: String(port), COURIER_JWT_SECRET: SECRET, COURIER_LIMITS: UNLIMITED, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const url = `http://127.0.0.1:${port}`;
  await expect
    .poll(
      () =>
        fetch(`${url}/livez`)
          .then(({ ok }) => ok)
          .catch(() => false),
      { timeout: 10_000 },
    )
    .toBe(true);
  const { events } = httpClient(url, await processToken('forge', 'service'));
  const draft = { type: 'forge.job.progress', channel: 'forge.job.j', data: { job_id: 'j', progress: 0.5 } } as const;
  for (let n = 0; n < 10; n += 1) await events.publishBatch.mutate(copies(500, draft));
  return { child, url, ended, [Symbol.asyncDispose]: async () => void (child.kill('SIGKILL') && (await ended)) };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
