/** The end of a gateway: what is in flight is finished, clients are told, and the process ends with 0. */
import { expect, test } from 'vitest';
import { collect } from '../helpers/collect.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { httpClient, startGateway } from '../helpers/gateway.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { openSocket } from '../helpers/raw-socket.ts';

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
  const token = await processToken('forge', 'service');
  const acknowledged: string[] = [];
  {
    await using gateway = await startProcess(env);
    const trpc = httpClient(gateway.url, token);
    const publisher = async () => {
      try {
        for (;;) {
          const { id } = await trpc.forge.publish.mutate({
            type: 'forge.job.progress',
            channel: 'forge.job.j',
            data: { job_id: 'j', progress: 0 },
          });
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

test('a second signal ends it at once', async () => {
  await using gateway = await startProcess({ COURIER_LOG: 'memory:' });
  // A reader that does not take part in the closing handshake keeps the first signal's drain waiting.
  await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/**?token=${await processToken('reader', 'service')}`);
  await socket.count(1);
  socket.ws.pause();
  gateway.child.kill('SIGTERM');
  await expect
    .poll(() =>
      fetch(`${gateway.url}/livez`).then(
        () => 'up',
        () => 'down',
      ),
    )
    .toBe('down');
  expect(await gateway.end('SIGINT')).toBe(1);
});

test('what a WebSocket client published is acknowledged before the connection is closed', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
  const gateway = await startGateway(env);
  await using client = gateway.webSocketClient(await gateway.token('forge', 'service'));
  const publish = () =>
    client.trpc.forge.publish.mutate({ type: 'forge.job.progress', channel: 'forge.job.j', data: { job_id: 'j', progress: 0 } });
  await publish();
  const publishing = Promise.allSettled(Array.from({ length: 90 }, publish));
  await publish();
  await gateway[Symbol.asyncDispose]();
  const acknowledged = (await publishing).filter(({ status }) => status === 'fulfilled').length + 2;
  await using again = await startGateway(env);
  const health = (await (await fetch(`${again.url}/health`)).json()) as { components: { event_log: { head: number } } };
  expect(health.components.event_log.head).toBe(acknowledged);
});
