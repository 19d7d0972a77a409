/** The end of a process that every kind of connection holds on to, none of which does as it is told. */
import { request } from 'node:http';
import { expect, test } from 'vitest';
import { Peer } from '../helpers/peer.ts';
import { processToken, startProcess } from '../helpers/process.ts';
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
