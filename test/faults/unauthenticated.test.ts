/** Connections that never say who they are, and requests that never end: bounded, closed on time, others served. */
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { processToken, startProcess } from '../helpers/process.ts';
import { EXACT, Ledger, LONG, report } from './ledger.ts';
import { startLoad, storedEvents, watch } from './load.ts';

const CONNECTIONS = LONG ? 10_000 : 500;
/** As by default. */
const PER_ADDRESS = 100;

test(`${CONNECTIONS} connections that never authenticate`, { timeout: 120_000 }, async ({ task }) => {
  await using gateway = await startProcess({ COURIER_LOG: 'memory:', COURIER_LIMITS: '{}' });
  const token = await processToken('forge', 'service');
  const ledger = new Ledger();
  await using neighbour = watch(gateway.url, token);
  await using load = startLoad({ url: gateway.url, token, ledger, inFlight: 2 });
  await load.more(50);
  const outcomes = new Map<string, number>();
  const note = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  const attempt = () =>
    new Promise<void>((resolve) => {
      const ws = new WebSocket(`${gateway.url.replace('http', 'ws')}/trpc?connectionParams=1`);
      const over = (outcome: string) => {
        note(outcome);
        resolve();
      };
      ws.on('unexpected-response', (req, { statusCode }) => {
        req.destroy();
        over(String(statusCode));
      });
      ws.on('error', () => undefined);
      ws.on('close', (code) => over(String(code)));
    });
  const half = [halfRequest(gateway.url, 'GET /health HTTP/1.1\r\nHost: x\r\n'), halfRequest(gateway.url, '')];
  // So many at once as a flood has under way.
  let begun = 0;
  const flood = async () => {
    while (begun < CONNECTIONS) {
      begun += 1;
      await attempt();
    }
  };
  await Promise.all(Array.from({ length: 2 * PER_ADDRESS }, flood));
  await load.more(50);
  await load.stop();
  const closedHalves = await Promise.all(half);
  const stored = await storedEvents(gateway.url, token);
  await neighbour.reaches(stored.at(-1)?.id ?? '');
  const figures = ledger.compare(stored, neighbour.items);
  const [refused = 0, late = 0] = [outcomes.get('429'), outcomes.get('4408')];
  report(task, 25, `${CONNECTIONS} connections that never authenticate, two requests that never end`, {
    ...figures,
    'peak memory': `${Math.round(gateway.peakRssBytes() / 1e6)} MB`,
    'refused (429)': refused,
    'closed after 5 s (4408)': late,
  });
  expect(figures).toMatchObject({ ...EXACT, unknown: 0 });
  expect(refused + late).toBe(CONNECTIONS);
  expect(late).toBeGreaterThanOrEqual(PER_ADDRESS);
  expect(closedHalves).toEqual(['closed', 'closed']);
});

/** Sends the beginning of a request and no more; resolves when the gateway has closed the connection. */
async function halfRequest(url: string, beginning: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connectTcp(Number(port), hostname);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  if (beginning !== '') socket.write(beginning);
  socket.resume();
  await once(socket, 'close');
  return 'closed';
}
