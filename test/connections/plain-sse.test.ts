/** Server-sent events without tRPC: what every transport guarantees, and the stream as EventSource and curl read it. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { EventSource } from 'eventsource';
import { describe, expect, test } from 'vitest';
import { publish } from '../contracts/transport/publishing.ts';
import { describeTransport } from '../contracts/transport.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway } from '../helpers/gateway.ts';
import { plainSse } from '../helpers/transports.ts';

describeTransport(plainSse);

const { subscribe } = plainSse;

describe('the stream', () => {
  test('has of each event its position, its type and its JSON, and begins with a comment', async () => {
    await using gateway = await startGateway();
    const token = await gateway.token('reader', 'service');
    const response = await fetch(`${gateway.url}/sse/forge.**?token=${token}`);
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('no-cache, no-transform');
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let text = '';
    const until = async (done: RegExp) => {
      while (!done.test(text)) text += Buffer.from((await reader.read()).value ?? []).toString();
    };
    await until(/courier\.live[^\n]*\n.*\n\n/);
    const [id = ''] = await publish(gateway, 1);
    await until(/forge\.job\.completed\n.*\n\n/);
    await reader.cancel();
    const [comment, live, event] = text.split('\n\n');
    expect(comment).toBe(': courier');
    expect(live).toMatch(/^id: [a-z0-9]+-0\nevent: courier\.live\ndata: \{.*\}$/);
    const [first, second, data = ''] = event?.split('\n') ?? [];
    expect([first, second]).toEqual([`id: ${id}`, 'event: forge.job.completed']);
    expect(JSON.parse(data.replace('data: ', ''))).toMatchObject({ id, channel: 'forge.job.j', metadata: { source: 'forge' } });
  });

  test('resumes from Last-Event-ID, whatever the address says', async () => {
    await using gateway = await startGateway();
    const token = await gateway.token('reader', 'service');
    const [first, second, third] = await publish(gateway, 3);
    const ask = { token, lastEventId: first ?? '' };
    await using byAddress = subscribe(gateway.port, ask);
    await using byHeader = subscribe(gateway.port, { ...ask, headers: { 'last-event-id': second ?? '' } });
    await using byEmptyHeader = subscribe(gateway.port, { ...ask, headers: { 'last-event-id': '' } });
    await Promise.all([byAddress.live(), byHeader.live(), byEmptyHeader.live()]);
    const idsOf = ({ published }: typeof byAddress) => published.map(({ id }) => id);
    expect([byAddress, byHeader, byEmptyHeader].map(idsOf)).toEqual([[second, third], [third], [second, third]]);
  });

  test('begins at the earliest, with the types that are asked for, and says what it missed', async () => {
    await using gateway = await startGateway();
    const token = await gateway.token('reader', 'service');
    const [first = ''] = await publish(gateway, 2);
    await using all = subscribe(gateway.port, { token, from: 'earliest' });
    await using none = subscribe(gateway.port, { token, from: 'earliest', types: 'forge.job.failed,forge.job.started' });
    await Promise.all([all.live(), none.live()]);
    expect([all.published.length, none.published.length]).toEqual([2, 0]);
    await using ahead = subscribe(gateway.port, { token, lastEventId: first.replace(/-1$/, '-9') });
    await ahead.live();
    expect(ahead.events.map(({ type, data }) => [type, data['reason']])).toEqual([
      ['courier.gap', 'ahead'],
      ['courier.live', undefined],
    ]);
  });

  test.each([
    ['without a right', 'GET', '/sse/strategy.s', 403, 'FORBIDDEN'],
    ['on a malformed channel', 'GET', '/sse/a..b', 400, 'BAD_REQUEST'],
    ['from what is no position', 'GET', '/sse/global?last_event_id=garbage', 400, 'BAD_REQUEST'],
    ['with an unknown parameter', 'GET', '/sse/global?surprise=1', 400, 'BAD_REQUEST'],
    ['by another method', 'POST', '/sse/global', 405, 'METHOD_NOT_SUPPORTED'],
  ])('%s it is a problem document', async (_name, method, path, status, code) => {
    await using gateway = await startGateway();
    const headers = { authorization: `Bearer ${await gateway.token('ada')}` };
    const response = await fetch(gateway.url + path, { method, headers });
    expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect([response.status, await response.json()]).toMatchObject([status, { code, status }]);
    await expect.poll(() => gateway.census.connections.sse).toBe(0);
  });

  test('a position that is none is named by where it came from', async () => {
    await using gateway = await startGateway();
    const token = await gateway.token('ada');
    const detail = async (query: string, headers: Record<string, string> = {}) => {
      const response = await fetch(`${gateway.url}/sse/global?token=${token}${query}`, { headers });
      return ((await response.json()) as { detail: string }).detail;
    };
    const reason = (received: string) => `"x" is not a position of Courier (the id of ${received} that was received)`;
    for (const [watch, received] of [
      ['', 'an event'],
      ['&state=order', 'an item'],
    ] as const) {
      expect(await detail(`${watch}&last_event_id=x`)).toBe(`last_event_id: ${reason(received)}`);
      expect(await detail(watch, { 'last-event-id': 'x' })).toBe(`Last-Event-ID: ${reason(received)}`);
    }
  });
});

test('EventSource resumes over a restart of the gateway, and misses nothing', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
  const first = await startGateway(env);
  const source = new EventSource(`${first.url}/sse/forge.**?token=${await first.token('reader', 'service')}`);
  using _closing = { [Symbol.dispose]: () => source.close() };
  const ids: string[] = [];
  let live = 0;
  source.addEventListener('forge.job.completed', ({ lastEventId }) => void ids.push(lastEventId));
  source.addEventListener('courier.live', () => {
    live += 1;
  });
  await expect.poll(() => live).toBe(1);
  const before = await publish(first, 2);
  await expect.poll(() => ids).toEqual(before);
  await first[Symbol.asyncDispose]();
  await using second = await startGateway({ ...env, COURIER_PORT: String(first.port) });
  const after = await publish(second, 2);
  await expect.poll(() => ids, { timeout: 5000 }).toEqual([...before, ...after]);
});

test('curl -N shows events as they come', async () => {
  await using gateway = await startGateway();
  const authorization = `Authorization: Bearer ${await gateway.token('reader', 'service')}`;
  const curl = spawn('curl', ['-sN', '-H', authorization, `${gateway.url}/sse/forge.**`], { stdio: ['ignore', 'pipe', 'inherit'] });
  using _ending = { [Symbol.dispose]: () => void curl.kill() };
  const lines: string[] = [];
  createInterface({ input: curl.stdout }).on('line', (line) => void lines.push(line));
  await expect.poll(() => lines).toContain('event: courier.live');
  const [id] = await publish(gateway, 1);
  await expect.poll(() => lines).toContain(`id: ${id}`);
});
