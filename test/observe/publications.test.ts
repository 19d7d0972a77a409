/** What the log tells of publications: each event, on every surface, in lines or in counts whose sum is right. */
import { createInterface } from 'node:readline';
import { PassThrough, type Readable } from 'node:stream';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Receipt } from '../../src/contract/types.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { PublicationLog } from '../../src/observe/publications.ts';
import { connect } from '../faults/load.ts';
import { httpClient } from '../helpers/gateway.ts';
import { type GatewayProcess, processToken, startProcess } from '../helpers/process.ts';
import { jobStarted } from '../helpers/samples.ts';

interface Counted {
  readonly type: string;
  readonly source: string;
  readonly events: number;
  readonly duplicates: number;
}
interface Line {
  readonly level: string;
  readonly logger: string;
  readonly message: string;
  readonly request_id?: string;
  readonly correlation_id?: string;
  readonly context: { readonly id?: string; readonly events?: number; readonly counts?: readonly Counted[]; readonly others?: number };
}

const sumOf = (lines: readonly Line[]) =>
  lines.filter(({ message }) => message === 'published').reduce((sum, { context }) => sum + (context.events ?? 1), 0);

function linesOf(gateway: GatewayProcess): Line[] {
  const lines: Line[] = [];
  createInterface({ input: gateway.child.stdout as Readable }).on('line', (line) => lines.push(JSON.parse(line) as Line));
  return lines;
}

test('every surface tells each event with what it is, who published it and in which request', async () => {
  await using gateway = await startProcess({ COURIER_LOG: 'memory:' });
  const lines = linesOf(gateway);
  const token = await processToken('forge', 'service');
  const draft = jobStarted();
  await using ws = connect(gateway.url, token);
  const http = httpClient(gateway.url, token);
  const receipts = [
    await ws.trpc.forge.publish.mutate({ ...draft, idempotency_key: 'k', metadata: { correlation_id: 'work' } }),
    await ws.trpc.forge.publish.mutate({ ...draft, idempotency_key: 'k', metadata: { correlation_id: 'again' } }),
    ...(await Promise.all([http.events.publish.mutate(draft), http.events.publish.mutate(draft)])),
    ...(await ws.trpc.events.publishBatch.mutate([draft, structuredClone(draft)])),
    ...((await ws.trpc.events.publishEach.mutate([draft, structuredClone(draft)])) as Receipt[]),
    (await (
      await fetch(`${gateway.url}/publish`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'x-request-id': 'plain-1' },
        body: JSON.stringify(draft),
      })
    ).json()) as Receipt,
  ];
  await gateway.end('SIGTERM');
  await expect.poll(() => lines.at(-1)?.message).toBe('stopped');
  const published = lines.filter(({ message }) => message === 'published');
  expect(published.map(({ context }) => context.id)).toEqual(receipts.map(({ id }) => id));
  const what = { type: draft.type, channel: draft.channel, source: 'forge' };
  for (const [index, line] of published.entries()) {
    const { id, duplicate } = receipts[index] as Receipt;
    expect(line).toMatchObject({ level: 'INFO', logger: 'courier.publish', request_id: expect.any(String) });
    expect(line.context).toEqual({ ...what, id, duplicate });
  }
  expect(published.map(({ context }) => 'duplicate' in context && context.duplicate)).toEqual([false, true, ...Array(7).fill(false)]);
  // What was stored before has kept its own; one without begins a piece of work, and so does each of several.
  const begun = receipts.slice(2).map(({ id }) => id);
  expect(published.map(({ correlation_id }) => correlation_id)).toEqual(['work', 'work', ...begun]);
  expect(published.at(-1)?.request_id).toBe('plain-1');
});

test('beyond a hundred in a second they are counted, and none is missing at the end or after another level', {
  timeout: 60_000,
}, async () => {
  await using gateway = await startProcess({ COURIER_LOG: 'memory:' });
  const lines = linesOf(gateway);
  await using forge = connect(gateway.url, await processToken('forge', 'service'));
  await using root = connect(gateway.url, await processToken('root', 'admin'));
  const batch = Array.from({ length: 100 }, () => structuredClone(jobStarted()));
  const publish = async (batches: number) => {
    for (let n = 0; n < batches; n += 1) await forge.trpc.events.publishBatch.mutate(batch);
  };
  await Promise.all([publish(20), root.trpc.events.publishBatch.mutate(batch.slice(0, 30))]);
  await root.trpc.admin.setLogLevel.mutate({ level: 'warn' });
  await publish(3);
  await root.trpc.admin.setLogLevel.mutate({ level: 'info' });
  await publish(5);
  expect(await gateway.end('SIGTERM')).toBe(0);
  await expect.poll(() => lines.at(-1)?.message).toBe('stopped');
  expect(sumOf(lines)).toBe(2530);
  expect(lines.filter(({ context }) => context?.id !== undefined).length).toBeGreaterThanOrEqual(100);
});

/** A log of publications in a stream, and a clock that only a test moves. */
function capture() {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const stream = new PassThrough();
  const lines: Line[] = [];
  stream.on('data', (line) => lines.push(JSON.parse(String(line)) as Line));
  const logger = createLogger({ logLevel: 'info', logFormat: 'json' }, { destination: stream });
  const log = new PublicationLog(logger);
  let seq = 0;
  const publish = (source: string, type = 'forge.job.started', duplicate = false) => {
    seq += 1;
    const receipt = { id: `e-${seq}`, channel: 'forge.job.j', type, timestamp: new Date(), duplicate };
    log.stored({ source, requestId: 'r' }, [{ receipt, correlationId: 'work' }]);
  };
  return { logger, log, lines, publish };
}

test('counts are by type and source, with duplicates apart', () => {
  const { lines, publish } = capture();
  for (let n = 0; n < 150; n += 1) publish(n % 2 === 0 ? 'forge' : 'root', 'forge.job.started', n >= 140);
  publish('forge', 'forge.job.failed');
  expect(lines).toHaveLength(100);
  vi.advanceTimersByTime(1000);
  expect(lines).toHaveLength(101);
  expect(lines.at(-1)?.context).toEqual({
    events: 51,
    counts: [
      { type: 'forge.job.started', source: 'forge', events: 25, duplicates: 5 },
      { type: 'forge.job.started', source: 'root', events: 25, duplicates: 5 },
      { type: 'forge.job.failed', source: 'forge', events: 1, duplicates: 0 },
    ],
  });
});

test('as many sources as one likes take one line of bounded length, and are all counted', () => {
  const { log, lines, publish } = capture();
  for (let n = 0; n < 10_000; n += 1) publish(`user-${n}`);
  log[Symbol.dispose]();
  expect(lines).toHaveLength(101);
  const { counts = [], others, events } = lines.at(-1)?.context ?? {};
  expect([counts.length, others, events, sumOf(lines)]).toEqual([100, 9800, 9900, 10_000]);
});

test('what was counted is told before the level changes, and nothing of what comes while it is higher', () => {
  const { logger, log, lines, publish } = capture();
  for (let n = 0; n < 150; n += 1) publish('forge');
  logger.setLevel('warn');
  for (let n = 0; n < 70; n += 1) publish('forge');
  vi.advanceTimersByTime(5000);
  logger.setLevel('info');
  publish('forge');
  log[Symbol.dispose]();
  const published = lines.filter(({ message }) => message === 'published');
  expect(published.map(({ context }) => context.events ?? 1)).toEqual([...Array(100).fill(1), 50, 1]);
});

test('a wall clock that jumps changes nothing', () => {
  const { log, lines, publish } = capture();
  for (let second = 0; second < 10; second += 1) {
    for (let n = 0; n < 150; n += 1) publish('forge');
    vi.setSystemTime(Date.now() + (second % 2 === 0 ? 3_600_000 : -7_200_000));
    vi.advanceTimersByTime(1000);
  }
  log[Symbol.dispose]();
  expect([lines.length, sumOf(lines)]).toEqual([1010, 1500]);
});
