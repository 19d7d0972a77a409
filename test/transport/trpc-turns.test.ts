/** Calls that are answered at once leave others their turns of the event loop, however many of them come together. */
import { expect, test } from 'vitest';
import { openSocket } from '../helpers/raw-socket.ts';
import { big } from '../helpers/trpc-router.ts';
import { call } from '../helpers/trpc-scripts.ts';
import { courierServer } from '../helpers/trpc-servers.ts';

const CALLS = 20;
const calls = Array.from({ length: CALLS }, (_, id) => call(id, 'query', 'big', 'x'));

/** The most calls that were made between two turns, until `done` resolves. */
async function mostInATurn(done: Promise<unknown>): Promise<number> {
  let [isDone, before, most] = [false, big.calls, 0];
  void done.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, big.calls - before);
    before = big.calls;
  }
  return most;
}

test.each(['in one message', 'one by one'])('queries that come %s are made in a turn each', async (how) => {
  await using server = await courierServer();
  await using client = await openSocket(server.url);
  const before = big.calls;
  if (how === 'in one message') client.send(calls);
  else for (const message of calls) client.send(message);
  expect(await mostInATurn(client.count(CALLS))).toBe(1);
  expect(big.calls - before).toBe(CALLS);
});
