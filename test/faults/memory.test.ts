/** A gateway with little memory under events as large as they may be: it refuses what it cannot take, and stays up. */
import { describe, expect, test } from 'vitest';
import { sharedEnv } from '../helpers/cluster.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { type GatewayProcess, processToken, startProcess } from '../helpers/process.ts';
import { LONG, report } from './ledger.ts';
import { connectPacedReader, type PacedReader } from './paced-reader.ts';

const SMALL_HEAP = { NODE_OPTIONS: '--max-old-space-size=128' };
/** One character beyond Latin-1 makes V8 keep two bytes for each. */
const LARGE = { job_id: 'j', result: { text: `ж${'x'.repeat(95_000)}` } };
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
    body: JSON.stringify({ data: LARGE }),
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
