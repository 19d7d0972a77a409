/** A call that is under way when the gateway is to end: it is waited for, answered, and what it stored is in the log. */
import { setTimeout as wait } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import { createDatabase } from '../../scripts/servers.ts';
import { startProxy } from '../faults/proxy.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { jobStarted } from '../helpers/samples.ts';

/** Longer than a connection that has been ended waits for its calls, in ms. */
const BEYOND_ENDING_MS = 600;

const post = (gateway: TestGateway, token: string, signal?: AbortSignal) =>
  fetch(`${gateway.url}/publish`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(jobStarted()),
    signal: signal ?? null,
  });

interface Call {
  readonly name: string;
  /** Resolves to the id of what it published. */
  readonly make: (gateway: TestGateway, token: string) => Promise<string | undefined>;
}

const overWebSocket = async (
  gateway: TestGateway,
  token: string,
  call: (trpc: ReturnType<TestGateway['webSocketClient']>['trpc']) => Promise<string | undefined>,
) => {
  await using client = gateway.webSocketClient(token);
  return await call(client.trpc);
};

const CALLS: readonly Call[] = [
  { name: 'POST /publish', make: async (...of) => ((await (await post(...of)).json()) as { id?: string }).id },
  {
    name: 'events.publish over HTTP',
    make: async (gateway, token) => (await gateway.httpClient(token).events.publish.mutate(jobStarted())).id,
  },
  {
    name: 'events.publishBatch over HTTP',
    make: async (gateway, token) => (await gateway.httpClient(token).events.publishBatch.mutate([jobStarted()]))[0]?.id,
  },
  {
    name: 'events.publish over WebSocket',
    make: (...of) => overWebSocket(...of, async (trpc) => (await trpc.events.publish.mutate(jobStarted())).id),
  },
  {
    name: 'events.publishEach over WebSocket',
    make: (...of) =>
      overWebSocket(...of, async (trpc) => {
        const [outcome] = await trpc.events.publishEach.mutate([jobStarted()]);
        return outcome !== undefined && 'id' in outcome ? outcome.id : undefined;
      }),
  },
];

test.each(CALLS)('$name', async ({ make }) => {
  const database = new URL(await createDatabase(inject('postgresUrl')));
  await using proxy = await startProxy(Number(database.port));
  const env = { COURIER_LOG: database.href.replace(`:${database.port}`, `:${proxy.port}`) };
  const gateway = await startGateway(env);
  const token = await gateway.token('forge', 'service');
  const append = proxy.hold('forge.job.started');
  const called = make(gateway, token);
  await append.heard;
  const idle = await openSocket(`${gateway.url.replace('http', 'ws')}/trpc`, { headers: { authorization: `Bearer ${token}` } });
  const ended = gateway[Symbol.asyncDispose]().then(() => 'ended');
  await expect.poll(async () => (await post(gateway, token)).status).toBe(503);
  // Those without a call have gone.
  await idle.closed;
  await wait(BEYOND_ENDING_MS);
  expect(await Promise.race([called.catch(String), ended, fetch(`${gateway.url}/livez`).then(({ status }) => status)])).toBe(200);
  append.release();
  const id = await called;
  expect(id).toMatch(/-1$/);
  await ended;
  await using again = await startGateway(env);
  const { events } = await again.httpClient(token).events.history.query({ channels: ['**'] });
  expect(events.map((event) => event.id)).toEqual([id]);
});
