/** A gateway with little memory under events as large as they may be: it refuses what it cannot take, and stays up. */
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { sharedEnv } from '../helpers/cluster.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { type GatewayProcess, processToken, startProcess } from '../helpers/process.ts';
import { LONG, report } from './ledger.ts';
import { connectPacedReader, type PacedReader } from './paced-reader.ts';

const SMALL_HEAP = { NODE_OPTIONS: '--max-old-space-size=128' };
/** One character beyond Latin-1 makes V8 keep two bytes for each. */
const LARGE = { text: `ж${'x'.repeat(95_000)}` };
/** Answers that a publisher takes for an invitation to come back. */
const RETRYABLE = [429, 503];

const FOUNDATIONS = [
  { name: 'SQLite', env: async (folder: string) => ({ COURIER_LOG: `sqlite:${folder}/courier.db` }) },
  { name: 'PostgreSQL', env: () => sharedEnv() },
];

/** Publishes a large event to a channel of its own. Resolves to the status of the answer. */
async function publish({ url }: GatewayProcess, token: string, job: string): Promise<number> {
  const response = await fetch(`${url}/publish/forge.job.${job}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'x-event-type': 'forge.job.completed' },
    body: JSON.stringify({ data: { job_id: job, result: LARGE } }),
  });
  await response.arrayBuffer();
  return response.status;
}

async function storedEvents({ url }: GatewayProcess, token: string): Promise<number> {
  const response = await fetch(`${url}/stats`, { headers: { authorization: `Bearer ${token}` } });
  const { log } = (await response.json()) as { log: { head: string } };
  return Number(log.head.split('-')[1]);
}

const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;

describe.each(FOUNDATIONS)('a heap of 128 MB, large events, on $name', ({ name, env }) => {
  test('one after another, and a start behind them', { timeout: 300_000 }, async ({ task }) => {
    const count = LONG ? 4000 : 800;
    using folder = temporaryFolder();
    const settings = { ...SMALL_HEAP, ...(await env(folder.path)) };
    const token = await processToken('forge', 'service');
    const memory: number[] = [];
    for (const isFirst of [true, false]) {
      await using gateway = await startProcess(settings);
      for (let published = 0; isFirst && published < count; published += 1) expect(await publish(gateway, token, 'j')).toBe(201);
      expect(await storedEvents(gateway, token)).toBe(count);
      memory.push(gateway.peakRssBytes());
      expect(await gateway.end('SIGTERM')).toBe(0);
    }
    report(task, 26, `128 MB of heap, ${name}: events of 95 kB one after another, and a start behind them`, {
      acknowledged: count,
      stored: count,
      'peak memory': megabytes(Math.max(...memory)),
    });
  });

  test('all at once', { timeout: 300_000 }, async ({ task }) => {
    const count = LONG ? 4000 : 1000;
    using folder = temporaryFolder();
    await using gateway = await startProcess({ ...SMALL_HEAP, ...(await env(folder.path)) });
    const token = await processToken('forge', 'service');
    const statuses = await Promise.all(Array.from({ length: count }, (_, index) => publish(gateway, token, `j${index}`)));
    const acknowledged = statuses.filter((status) => status === 201).length;
    expect(acknowledged).toBeGreaterThan(0);
    expect(new Set(statuses)).toEqual(new Set([201, ...RETRYABLE.filter((status) => statuses.includes(status))]));
    expect(await storedEvents(gateway, token)).toBe(acknowledged);
    expect(await publish(gateway, token, 'after')).toBe(201);
    report(task, 26, `128 MB of heap, ${name}: ${count} publishers of 95 kB at once`, {
      acknowledged,
      stored: acknowledged,
      'peak memory': megabytes(gateway.peakRssBytes()),
      refused: count - acknowledged,
    });
    expect(await gateway.end('SIGTERM')).toBe(0);
  });

  test('for readers that read nothing', { timeout: 300_000 }, async ({ task }) => {
    const [readers, count] = LONG ? [400, 1000] : [100, 200];
    using folder = temporaryFolder();
    await using gateway = await startProcess({ ...SMALL_HEAP, ...(await env(folder.path)) });
    const token = await processToken('forge', 'service');
    using stack = new DisposableStack();
    const url = `${gateway.url.replace('http', 'ws')}/ws/**?token=${token}&from=earliest`;
    const slow: PacedReader[] = [];
    while (slow.length < readers) slow.push(stack.use(await connectPacedReader(url)));
    for (let published = 0; published < count; published += 1) expect(await publish(gateway, token, 'j')).toBe(201);
    const [one] = slow as [PacedReader];
    await one.readUntil(count + 1);
    expect(one.messages).toHaveLength(count + 1);
    report(task, 26, `128 MB of heap, ${name}: ${readers} readers that read nothing of events of 95 kB`, {
      acknowledged: count,
      stored: count,
      received: one.messages.length - 1,
      'peak memory': megabytes(gateway.peakRssBytes()),
    });
    expect(await gateway.end('SIGTERM')).toBe(0);
  });
});

test('a heap of 128 MB that a log in memory fills', { timeout: 120_000 }, async ({ task }) => {
  await using gateway = await startProcess({ ...SMALL_HEAP, COURIER_LOG: 'memory:' });
  const token = await processToken('forge', 'service');
  let acknowledged = 0;
  for (let status = await publish(gateway, token, 'j'); status === 201; status = await publish(gateway, token, 'j')) acknowledged += 1;
  expect(acknowledged).toBeGreaterThan(100);
  const { components } = (await (await fetch(`${gateway.url}/health`)).json()) as { components: { event_log: object } };
  expect(components.event_log).toMatchObject({ status: 'degraded', action: expect.stringContaining('keep the log in a file') });
  expect(await storedEvents(gateway, token)).toBe(acknowledged);
  report(task, 26, '128 MB of heap, a log in memory that is full', {
    acknowledged,
    stored: acknowledged,
    'peak memory': megabytes(gateway.peakRssBytes()),
  });
  expect(await gateway.end('SIGTERM')).toBe(0);
});

describe('a heap of 128 MB, clients that are allowed what they do', () => {
  const started = async (folder: string) =>
    startProcess({ ...SMALL_HEAP, COURIER_LOG: `sqlite:${folder}/courier.db`, COURIER_DRAIN_SECONDS: '2' });

  test('calls that wait behind what nobody reads', { timeout: 120_000 }, async ({ task }) => {
    using folder = temporaryFolder();
    await using gateway = await started(folder.path);
    const token = await processToken('forge', 'service');
    for (let published = 0; published < 100; published += 1) expect(await publish(gateway, token, 'j')).toBe(201);
    using stack = new DisposableStack();
    // Small as text, and large as a value.
    const input = { json: Array.from({ length: 340_000 }, () => ({})) };
    const fat = JSON.stringify({ id: 2, method: 'mutation', params: { path: 'forge.publish', input } });
    const clients = await Promise.all(Array.from({ length: 40 }, () => connectTrpc(gateway, token, stack)));
    for (const client of clients) {
      client.pause();
      client.send(subscribing(1, { channels: ['**'], from: 'earliest' }));
    }
    const reader = await connectTrpc(gateway, token, stack);
    for (const client of clients) {
      client.send(fat);
      // Its turn has passed once another, who came later, was answered.
      reader.send(JSON.stringify({ id: 1, method: 'query', params: { path: 'auth.whoami' } }));
      await once(reader, 'message');
    }
    expect(await publish(gateway, token, 'after')).toBe(201);
    report(task, 26, '128 MB of heap: 40 calls of 1 MB wait behind what nobody reads', {
      'peak memory': megabytes(gateway.peakRssBytes()),
    });
    expect(await gateway.end('SIGTERM')).toBe(0);
  });

  test('subscriptions of many long channels', { timeout: 120_000 }, async ({ task }) => {
    using folder = temporaryFolder();
    await using gateway = await started(folder.path);
    const token = await processToken('forge', 'service');
    using stack = new DisposableStack();
    let [begun, refused] = [0, 0];
    for (let connection = 0; connection < 30; connection += 1) {
      const client = await connectTrpc(gateway, token, stack);
      let answered = 0;
      await new Promise<void>((resolve, reject) => {
        client.on('close', (code) => reject(new Error(`closed with ${code}`)));
        client.on('message', (data) => {
          const { error, result } = JSON.parse(String(data)) as Answer;
          if (error?.json.data.code === 'TOO_MANY_REQUESTS') refused += 1;
          else if (result?.data?.json.data.type === 'courier.live') begun += 1;
          else return;
          answered += 1;
          if (answered === 100) resolve();
        });
        for (let id = 0; id < 100; id += 1) {
          const channels = Array.from({ length: 100 }, (_, index) => `strategy.${`${connection}_${id}_${index}`.padEnd(64, 'q')}`);
          client.send(subscribing(id, { channels }));
        }
      });
    }
    expect(begun).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(100);
    report(task, 26, '128 MB of heap: 3,000 subscriptions of 100 long channels each', {
      'peak memory': megabytes(gateway.peakRssBytes()),
      begun,
      refused,
    });
    expect(await gateway.end('SIGTERM')).toBe(0);
  });
});

interface Answer {
  readonly error?: { readonly json: { readonly data: { readonly code: string } } };
  readonly result?: { readonly data?: { readonly json: { readonly data: { readonly type: string } } } };
}

const subscribing = (id: number, json: object) =>
  JSON.stringify({ id, method: 'subscription', params: { path: 'events.subscribe', input: { json } } });

async function connectTrpc({ url }: GatewayProcess, token: string, stack: DisposableStack): Promise<WebSocket> {
  const ws = new WebSocket(`${url.replace('http', 'ws')}/trpc`, { headers: { authorization: `Bearer ${token}` } });
  stack.defer(() => ws.terminate());
  ws.on('error', () => undefined);
  await once(ws, 'open');
  return ws;
}
