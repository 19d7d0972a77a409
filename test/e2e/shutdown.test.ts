/** The end of a gateway: what is in flight is finished, clients are told, and the process ends with 0. */
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import superjson from 'superjson';
import { expect, test } from 'vitest';
import type { AppRouter } from '../../src/router/index.ts';
import { collect } from '../helpers/collect.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { processToken } from '../helpers/process.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { httpClient, startGateway, startProcess, worker } from '../helpers/trade.ts';

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

test('every WebSocket is closed with 1001, tRPC clients are told to reconnect before', async () => {
  const gateway = await startGateway();
  const token = await gateway.token('reader', 'service');
  const base = gateway.url.replace('http', 'ws');
  await using trpc = await openSocket(`${base}/trpc`, { headers: { authorization: `Bearer ${token}` } });
  trpc.send('PING');
  await trpc.count(1);
  await using plain = await openSocket(`${base}/ws/**?token=${token}`);
  await plain.count(1);
  await gateway[Symbol.asyncDispose]();
  expect(await trpc.closed).toEqual({ code: 1001, reason: 'shutting down' });
  expect(trpc.messages).toEqual(['PONG', '{"id":null,"method":"reconnect"}']);
  expect(await plain.closed).toEqual({ code: 1001, reason: 'shutting down' });
});

test('a stream of server-sent events does not hold the end up', async () => {
  const gateway = await startGateway();
  const trpc = httpClient(gateway.url, await gateway.token('reader', 'service'));
  using received = collect<{ id: string }>((observer) => trpc.events.subscribe.subscribe({ channels: ['**'] }, observer));
  await received.count(1);
  await gateway[Symbol.asyncDispose]();
});

test('SIGTERM under load: every acknowledged event is in the log, and the exit code is 0', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
  const token = await processToken(worker.service, 'service');
  const acknowledged: string[] = [];
  {
    await using gateway = await startProcess(env);
    const trpc = httpClient(gateway.url, token);
    const publisher = async () => {
      try {
        for (;;) {
          const { id } = await worker.over(trpc).publish.mutate(worker.measure(0));
          acknowledged.push(id);
          if (acknowledged.length === 200) gateway.child.kill('SIGTERM');
        }
      } catch {
        // Refused or cut off: not acknowledged.
      }
    };
    await Promise.all(Array.from({ length: 8 }, publisher));
    expect(await gateway.end('SIGCONT')).toBe(0);
  }
  await using gateway = await startProcess(env);
  const stored = new Set<string>();
  for (let after: string | undefined; ; ) {
    const page = await httpClient(gateway.url, token).events.history.query({ channels: ['**'], after, limit: 1000 });
    for (const { id } of page.events) stored.add(id);
    after = page.next;
    if (!page.has_more) break;
  }
  expect(acknowledged.length).toBeGreaterThanOrEqual(200);
  expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
});

test('while it drains it says so, refuses what is new with an error that may be repeated, and goes on delivering', async () => {
  const gateway = await startGateway();
  const token = await gateway.token(worker.service, 'service');
  const base = gateway.url.replace('http', 'ws');
  await using client = gateway.webSocketClient(token);
  using received = collect<{ id: string }>((observer) => client.trpc.global.onEvent.subscribe(undefined, observer));
  await received.count(1);
  const ended = gateway[Symbol.asyncDispose]();
  const health = await fetch(`${gateway.url}/health`);
  expect(health.status).toBe(503);
  expect(await health.json()).toMatchObject({ status: 'shutting_down' });
  expect((await fetch(`${gateway.url}/readyz`)).status).toBe(503);
  expect((await fetch(`${gateway.url}/livez`)).status).toBe(200);
  const event = { ...worker.note(), channel: 'global' };
  const refused = { data: { code: 'SERVICE_UNAVAILABLE', retryAfterMs: 1000 } };
  await expect(worker.over(client.trpc).publish.mutate(event)).rejects.toMatchObject(refused);
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(`${gateway.url}/publish`, { method: 'POST', headers, body: JSON.stringify(event) });
  expect(answer.status).toBe(503);
  expect(answer.headers.get('retry-after')).toBe('1');
  await expect(openSocket(`${base}/ws/global?token=${token}`)).rejects.toThrow('503');
  await ended;
});

test('clients that have another gateway to go to are all there when the old one has closed', async () => {
  await using second = await startGateway();
  const first = await startGateway();
  const token = await first.token('reader', 'service');
  const order: number[] = [];
  const moved = range(0, 19).map((n) => {
    // The first connection goes to the gateway that will end, all others to the other: what a load balancer does.
    let urls = [first.url, second.url];
    const ws = createWSClient({
      url: () => {
        const [url = second.url, ...rest] = urls;
        urls = rest;
        if (url === second.url) order.push(n);
        return `${url.replace('http', 'ws')}/trpc`;
      },
      connectionParams: { token },
    });
    const trpc = createTRPCClient<AppRouter>({ links: [wsLink({ client: ws, transformer: superjson })] });
    return { ws, received: collect<{ id: string }>((observer) => trpc.global.onEvent.subscribe(undefined, observer)) };
  });
  for (const { received } of moved) await received.count(1);
  await first[Symbol.asyncDispose]();
  expect(order.toSorted((a, b) => a - b)).toEqual(range(0, 19));
  for (const { received } of moved) await received.until((items) => items.length >= 2);
  for (const { ws, received } of moved) {
    received.unsubscribe();
    await ws.close();
  }
});

test('a second signal ends it at once', async () => {
  await using gateway = await startProcess({ COURIER_LOG: 'memory:' });
  // They leave one after another, a hundred a second: two seconds are long enough to send a signal in between.
  const url = `${gateway.url.replace('http', 'ws')}/ws/**?token=${await processToken('reader', 'service')}`;
  const sockets = await Promise.all(Array.from({ length: 200 }, () => openSocket(url)));
  await using stack = new AsyncDisposableStack();
  for (const socket of sockets) stack.use(socket);
  await Promise.all(sockets.map((socket) => socket.count(1)));
  gateway.child.kill('SIGTERM');
  await sockets[0]?.closed;
  expect(await gateway.end('SIGINT')).toBe(1);
});

test('what a WebSocket client published is acknowledged before the connection is closed', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
  const gateway = await startGateway(env);
  await using client = gateway.webSocketClient(await gateway.token(worker.service, 'service'));
  const publish = () => worker.over(client.trpc).publish.mutate(worker.measure(0));
  await publish();
  const publishing = Promise.allSettled(Array.from({ length: 90 }, publish));
  await publish();
  await gateway[Symbol.asyncDispose]();
  const acknowledged = (await publishing).filter(({ status }) => status === 'fulfilled').length + 2;
  await using again = await startGateway(env);
  const health = (await (await fetch(`${again.url}/health`)).json()) as { components: { event_log: { head: number } } };
  expect(health.components.event_log.head).toBe(acknowledged);
});
