/** A gateway of two workers is one gateway: whichever of them a caller comes to, what is true of one is true of both together. */

import { once } from 'node:events';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { EventSource } from 'eventsource';
import { expect, inject, test } from 'vitest';
import { createDatabase } from '../../scripts/servers.ts';
import type { Connections, Stats } from '../../src/contract/admin.ts';
import { childrenOf, isThere } from '../faults/processes.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { httpClient } from '../helpers/gateway.ts';
import { type GatewayProcess, processToken, startProcess } from '../helpers/process.ts';
import { openSocket, type RawSocket } from '../helpers/raw-socket.ts';

/** So many connections are on both workers, but for one in a million times. */
const SPREAD = 20;

interface Workers extends AsyncDisposable {
  readonly url: string;
  readonly process: GatewayProcess;
  /** What was logged, as JSON. */
  readonly lines: readonly {
    readonly message: string;
    readonly worker?: number;
    readonly level: string;
    readonly context?: Readonly<Record<string, unknown>>;
  }[];
}

async function startWorkers(env: Record<string, string> = {}): Promise<Workers> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(temporaryFolder());
  const process = stack.use(
    await startProcess({ COURIER_WORKERS: '2', COURIER_LOG: `sqlite:${folder.file('courier.db')}`, COURIER_DRAIN_SECONDS: '3', ...env }),
  );
  const lines: Workers['lines'][number][] = [];
  if (process.child.stdout !== null) createInterface({ input: process.child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  const resources = stack.move();
  return { url: process.url, process, lines, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Each call over a connection of its own. */
async function get(url: string, token?: string): Promise<Response> {
  return fetch(url, { headers: { connection: 'close', ...(token !== undefined && { authorization: `Bearer ${token}` }) } });
}

function publish(url: string, token: string, key?: string): Promise<Response> {
  return fetch(`${url}/publish`, {
    method: 'POST',
    headers: { connection: 'close', authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      channel: 'forge.job.j',
      type: 'forge.job.started',
      data: { job_id: 'j', kind: 'k' },
      ...(key && { idempotency_key: key }),
    }),
  });
}

const wsUrl = (url: string, token: string) => `${url.replace('http', 'ws')}/ws/**?token=${token}`;

test('subscribers of both get what is published on either, in one order, and resume on either', async () => {
  await using workers = await startWorkers();
  const token = await processToken('forge', 'service');
  await using stack = new AsyncDisposableStack();
  const sockets: RawSocket[] = [];
  for (let n = 0; n < SPREAD; n += 1) sockets.push(stack.use(await openSocket(wsUrl(workers.url, token))));
  await Promise.all(sockets.map((socket) => socket.count(1)));
  const answers = await Promise.all(Array.from({ length: 60 }, () => publish(workers.url, token).then((answer) => answer.json())));
  const ids = (answers as { id: string }[]).map(({ id }) => id).sort((a, b) => seqOf(a) - seqOf(b));
  for (const socket of sockets) {
    const messages = (await socket.count(61)).slice(1).map((text) => (JSON.parse(text) as { id: string }).id);
    expect(messages).toEqual(ids);
  }
  for (let n = 0; n < SPREAD; n += 1) {
    await using resumed = await openSocket(`${wsUrl(workers.url, token)}&last_event_id=${ids[39]}`);
    const messages = (await resumed.count(20)).slice(0, 20).map((text) => (JSON.parse(text) as { id: string }).id);
    expect(messages).toEqual(ids.slice(40));
  }
  const keyed = await Promise.all(Array.from({ length: SPREAD }, () => publish(workers.url, token, 'key').then((answer) => answer.json())));
  expect(new Set((keyed as { id: string }[]).map(({ id }) => id)).size).toBe(1);
  expect((keyed as { duplicate: boolean }[]).filter(({ duplicate }) => !duplicate)).toHaveLength(1);
});

test('limits and places are those of one, whichever worker has the connections', async () => {
  const limits = { user: { connections: 7, queriesPerSecond: 4 }, gateway: { connections: 12, unauthenticatedPerAddress: 9 } };
  await using workers = await startWorkers({ COURIER_LIMITS: JSON.stringify(limits) });
  const [ada, eve] = [await processToken('ada', 'user'), await processToken('eve', 'user')];
  const statuses = await Promise.all(Array.from({ length: SPREAD }, async () => (await get(`${workers.url}/events/global`, ada)).status));
  const admitted = statuses.filter((status) => status === 200).length;
  expect(statuses.filter((status) => status === 429)).toHaveLength(SPREAD - admitted);
  expect(admitted).toBeGreaterThanOrEqual(4);
  // What is refilled while they are answered.
  expect(admitted).toBeLessThan(8);
  await using stack = new AsyncDisposableStack();
  const open = async (path: string) => {
    const opened = await Promise.allSettled(Array.from({ length: SPREAD }, () => openSocket(workers.url.replace('http', 'ws') + path)));
    return opened.flatMap((one) => (one.status === 'fulfilled' ? [stack.use(one.value)] : []));
  };
  const adas = await open(`/ws/global?token=${ada}`);
  expect(adas).toHaveLength(7);
  expect(await open(`/ws/global?token=${eve}`)).toHaveLength(12 - 7);
  // They have yet to say who they are.
  expect(await open('/trpc?connectionParams=1')).toHaveLength(0);
  await adas[0]?.[Symbol.asyncDispose]();
  await expect.poll(() => open(`/ws/global?token=${eve}`).then(({ length }) => length)).toBe(1);
  for (const socket of adas) await socket[Symbol.asyncDispose]();
  await expect.poll(() => open('/trpc?connectionParams=1').then(({ length }) => length)).toBe(9);
});

test('an admin of one sees, disconnects and revokes on both, and sets the log level of both', async () => {
  await using workers = await startWorkers();
  const [root, ada] = [await processToken('root', 'admin'), await processToken('ada', 'service')];
  await using stack = new AsyncDisposableStack();
  const sockets: RawSocket[] = [];
  for (let n = 0; n < SPREAD; n += 1) sockets.push(stack.use(await openSocket(wsUrl(workers.url, ada))));
  await Promise.all(sockets.map((socket) => socket.count(1)));
  const admin = httpClient(workers.url, root).admin;
  for (let n = 0; n < 4; n += 1) {
    const stats = (await (await get(`${workers.url}/stats`, root)).json()) as Stats;
    expect(stats).toMatchObject({
      instances: 1,
      workers: 2,
      connections: { total: SPREAD, role: { service: SPREAD } },
      subscriptions: SPREAD,
    });
  }
  const listed: Connections = await admin.connections.query({});
  expect(listed.total).toBe(SPREAD);
  expect(new Set(listed.connections.map(({ worker }) => worker))).toEqual(new Set([1, 2]));
  for (const worker of [1, 2]) {
    const { connection_id } = listed.connections.find((one) => one.worker === worker) as Connections['connections'][number];
    expect(await admin.disconnect.mutate({ connection_id })).toEqual({ disconnected: true });
  }
  await admin.setLogLevel.mutate({ level: 'debug' });
  await expect
    .poll(() =>
      workers.lines
        .filter(({ message }) => message === 'the log level was set')
        .map(({ worker }) => worker)
        .sort(),
    )
    .toEqual([1, 2, undefined]);
  expect(await admin.revoke.mutate({ sub: 'ada' })).toMatchObject({ ended: SPREAD - 2 });
  await Promise.all(sockets.map(({ closed }) => closed));
  for (let n = 0; n < SPREAD; n += 1) expect((await get(`${workers.url}/events/global`, ada)).status).toBe(401);
});

test('health and metrics are those of both, and do not fall when one is gone', async () => {
  await using workers = await startWorkers();
  const token = await processToken('forge', 'service');
  await Promise.all(Array.from({ length: SPREAD }, () => publish(workers.url, token)));
  const metric = async (name: string) => {
    const text = await (await get(`${workers.url}/metrics`)).text();
    return text
      .split('\n')
      .filter((line) => line.startsWith(name))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]);
  };
  const published = 'courier_messages_published_total{service="forge"}';
  expect(await metric(published)).toEqual([[published, SPREAD]]);
  expect(await metric('courier_log_position{which="head"}')).toEqual([['courier_log_position{which="head"}', SPREAD]]);
  expect((await metric('process_resident_memory_bytes')).map(([name]) => name)).toEqual(
    ['supervisor', 1, 2].map((worker) => `process_resident_memory_bytes{worker="${worker}"}`),
  );
  expect(await metric('courier_workers')).toEqual([['courier_workers', 2]]);
  const health = async () => (await (await get(`${workers.url}/health`)).json()) as { status: string; components: Record<string, object> };
  expect(await health()).toMatchObject({
    status: 'healthy',
    components: { workers: { status: 'healthy', running: 2, configured: 2, restarts: 0 } },
  });
  process.kill(childrenOf(workers.process.child.pid as number)[0] as number, 'SIGKILL');
  await expect.poll(async () => (await health()).components['workers'], { timeout: 15_000 }).toMatchObject({ running: 2, restarts: 1 });
  expect(await metric(published)).toEqual([[published, SPREAD]]);
  expect(await metric('courier_worker_restarts_total')).toEqual([['courier_worker_restarts_total', 1]]);
  await publish(workers.url, token);
  expect(await metric(published)).toEqual([[published, SPREAD + 1]]);
});

test('a backup leaves nothing that a drain waits for, and a worker that is asked to end does so in order', async () => {
  await using workers = await startWorkers();
  const [root, forge] = [await processToken('root', 'admin'), await processToken('forge', 'service')];
  await publish(workers.url, forge);
  const metric = 'courier_messages_published_total{service="forge"}';
  // The one before is given back a moment after its last byte.
  const backUp = async () => {
    const backup = await get(`${workers.url}/backup`, root);
    return [backup.status, (await backup.arrayBuffer()).byteLength > 0];
  };
  for (let n = 0; n < 6; n += 1) await expect.poll(backUp).toEqual([200, true]);
  for (const ended of [1, 2]) {
    await publish(workers.url, forge);
    process.kill(childrenOf(workers.process.child.pid as number)[0] as number, 'SIGTERM');
    const running = async () => ((await (await get(`${workers.url}/health`)).json()) as { components: Record<string, object> }).components;
    await expect.poll(async () => (await running())['workers'], { timeout: 15_000 }).toMatchObject({ running: 2, restarts: ended });
  }
  const told = workers.lines.filter(({ message }) => message.startsWith('a worker has ended'));
  expect(told.map(({ level, context }) => [level, context?.['code'], context?.['in_ms']])).toEqual([
    ['INFO', 0, 100],
    ['INFO', 0, 100],
  ]);
  // What they had counted since anybody asked is not lost with them.
  expect(await (await get(`${workers.url}/metrics`)).text()).toContain(`\n${metric} 3\n`);
  expect(await workers.process.end('SIGTERM')).toBe(0);
});

test('a worker that stands still is not left behind by a drain', async () => {
  await using workers = await startWorkers({ COURIER_DRAIN_SECONDS: '1' });
  const children = childrenOf(workers.process.child.pid as number);
  process.kill(children[0] as number, 'SIGSTOP');
  expect(await workers.process.end('SIGTERM')).toBe(0);
  expect(children.filter(isThere)).toEqual([]);
});

test('a second signal ends all of them at once', async () => {
  await using workers = await startWorkers({ COURIER_DRAIN_SECONDS: '60' });
  const token = await processToken('forge', 'service');
  using events = new DisposableStack();
  const source = events.adopt(new EventSource(`${workers.url}/sse/**?token=${token}`), (one) => one.close());
  await once(source, 'open');
  const children = childrenOf(workers.process.child.pid as number);
  for (const child of children) process.kill(child, 'SIGSTOP');
  void workers.process.end('SIGTERM');
  await expect.poll(() => workers.lines.some(({ message }) => message.includes('a second signal'))).toBe(true);
  expect(await workers.process.end('SIGTERM')).toBe(1);
  await expect.poll(() => children.filter(isThere)).toEqual([]);
});

test('of streams on all workers the oldest gives its place up, and no other', async () => {
  const limits = { service: { connections: 6 } };
  await using workers = await startWorkers({ COURIER_LIMITS: JSON.stringify(limits) });
  const token = await processToken('forge', 'service');
  await using stack = new AsyncDisposableStack();
  const ended: number[] = [];
  for (let n = 0; n < 6; n += 1) {
    const source = stack.adopt(new EventSource(`${workers.url}/sse/**?token=${token}`), (one) => one.close());
    await once(source, 'open');
    source.addEventListener('error', () => {
      source.close();
      ended.push(n);
    });
  }
  for (const oldest of [0, 1, 2]) {
    const socket = stack.use(await openSocket(wsUrl(workers.url, token)));
    await socket.count(1);
    await expect.poll(() => ended.at(-1)).toBe(oldest);
  }
  expect(ended).toEqual([0, 1, 2]);
});

test('of two that start on one port at once one is refused', async () => {
  using folder = temporaryFolder();
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const port = String((taken.address() as AddressInfo).port);
  taken.close();
  await once(taken, 'close');
  await using stack = new AsyncDisposableStack();
  const starts = ['a', 'b'].map((name) =>
    startProcess({ COURIER_WORKERS: '2', COURIER_PORT: port, COURIER_LOG: `sqlite:${folder.file(`${name}/log.db`)}` }),
  );
  const started = await Promise.allSettled(starts);
  for (const one of started) if (one.status === 'fulfilled') stack.use(one.value);
  expect(started.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  const refused = started.find((one) => one.status === 'rejected');
  expect(String(refused?.reason)).toMatch(new RegExp(`COURIER_PORT ${port} of 127.0.0.1 is in use: `));
});

test('a worker keeps the level that was set, and the contract of the start', async () => {
  using folder = temporaryFolder();
  const contract = folder.file('contract.ts');
  cpSync(new URL('../../scripts/demo/contract.ts', import.meta.url), contract);
  const source = readFileSync(contract, 'utf8').replaceAll(
    /from '(\.\.[^']*)'/g,
    (_, path: string) => `from '${new URL(path, new URL('../../scripts/demo/', import.meta.url)).href}'`,
  );
  writeFileSync(contract, source);
  await using workers = await startWorkers({ COURIER_CONTRACT: contract });
  const { admin } = httpClient(workers.url, await processToken('root', 'admin'));
  const stations = await processToken('stations', 'service');
  const measure = () =>
    fetch(`${workers.url}/publish`, {
      method: 'POST',
      headers: { connection: 'close', authorization: `Bearer ${stations}`, 'content-type': 'application/json' },
      body: JSON.stringify({ channel: 'station.oslo', type: 'station.measured', data: { station_id: 'oslo', celsius: 1 } }),
    });
  const told = () => workers.lines.filter(({ message }) => message === 'published').length;
  await admin.setLogLevel.mutate({ level: 'warn' });
  const kill = () => process.kill(childrenOf(workers.process.child.pid as number)[0] as number, 'SIGKILL');
  const health = async () => ((await (await get(`${workers.url}/health`)).json()) as { components: Record<string, object> }).components;
  kill();
  await expect.poll(async () => (await health())['workers'], { timeout: 15_000 }).toMatchObject({ running: 2, restarts: 1 });
  for (let n = 0; n < SPREAD; n += 1) expect((await measure()).status).toBe(201);
  await admin.setLogLevel.mutate({ level: 'info' });
  for (let n = 0; n < SPREAD; n += 1) await measure();
  await expect.poll(told).toBe(SPREAD);
  writeFileSync(contract, source.replace('celsius: z.number()', 'celsius: z.number(), wind: z.number().optional()'));
  kill();
  await expect
    .poll(() => workers.lines.find(({ message }) => message === 'a worker does not start')?.context, { timeout: 15_000 })
    .toMatchObject({
      problem: expect.stringContaining('COURIER_CONTRACT is another one than when the gateway began'),
    });
  writeFileSync(contract, source);
  await expect.poll(async () => (await health())['workers'], { timeout: 20_000 }).toMatchObject({ running: 2 });
});

test('lines of both are whole, however many come at once', async () => {
  await using workers = await startWorkers({ COURIER_LOG_LEVEL: 'debug' });
  const token = await processToken('forge', 'service');
  await using stack = new AsyncDisposableStack();
  const sockets: RawSocket[] = [];
  for (let n = 0; n < SPREAD; n += 1) sockets.push(stack.use(await openSocket(wsUrl(workers.url, token))));
  for (let round = 0; round < 5; round += 1) await Promise.all(Array.from({ length: 100 }, () => publish(workers.url, token)));
  await Promise.all(sockets.map((socket) => socket.count(501)));
  expect(await workers.process.end('SIGTERM')).toBe(0);
  // Each was parsed when it came.
  expect(new Set(workers.lines.map(({ worker }) => worker))).toEqual(new Set([1, 2, undefined]));
  expect(workers.lines.length).toBeGreaterThan(1000);
});

test('SIGTERM drains both: what is in flight is finished, clients are told, and the exit code is 0', async () => {
  await using workers = await startWorkers();
  const token = await processToken('forge', 'service');
  await using stack = new AsyncDisposableStack();
  const sockets: RawSocket[] = [];
  for (let n = 0; n < SPREAD; n += 1) sockets.push(stack.use(await openSocket(wsUrl(workers.url, token))));
  using events = new DisposableStack();
  const source = events.adopt(new EventSource(`${workers.url}/sse/**?token=${token}`), (one) => one.close());
  await once(source, 'open');
  const ended = workers.process.end('SIGTERM');
  expect(new Set((await Promise.all(sockets.map(({ closed }) => closed))).map(({ code }) => code))).toEqual(new Set([1001]));
  expect(await ended).toBe(0);
});

test('on PostgreSQL they tell each other of what they append, without Redis', async () => {
  await using workers = await startWorkers({ COURIER_LOG: await createDatabase(inject('postgresUrl')) });
  const token = await processToken('forge', 'service');
  await using stack = new AsyncDisposableStack();
  const sockets: RawSocket[] = [];
  for (let n = 0; n < SPREAD; n += 1) sockets.push(stack.use(await openSocket(wsUrl(workers.url, token))));
  await Promise.all(sockets.map((socket) => socket.count(1)));
  const ids = new Set<string>();
  for (let n = 0; n < SPREAD; n += 1) ids.add(((await (await publish(workers.url, token)).json()) as { id: string }).id);
  for (const socket of sockets) {
    const messages = (await socket.count(1 + SPREAD)).slice(1).map((text) => (JSON.parse(text) as { id: string }).id);
    expect(messages).toEqual([...ids]);
  }
  const keyed = await Promise.all(Array.from({ length: SPREAD }, () => publish(workers.url, token, 'key').then((answer) => answer.json())));
  expect((keyed as { duplicate: boolean }[]).filter(({ duplicate }) => !duplicate)).toHaveLength(1);
  // Nobody had to look into the log for what it was not told.
  expect(await (await get(`${workers.url}/metrics`)).text()).toMatch(/^courier_tail_repairs_total 0$/m);
  expect(await (await get(`${workers.url}/stats`, await processToken('root', 'admin'))).json()).toMatchObject({ instances: 1, workers: 2 });
});

test('a port that another listens on is refused in a line, with workers too', async () => {
  await using workers = await startWorkers();
  const { port } = new URL(workers.url);
  using folder = temporaryFolder();
  const env = { COURIER_WORKERS: '2', COURIER_LOG: `sqlite:${folder.file('other.db')}`, COURIER_PORT: port };
  await expect(startProcess(env)).rejects.toThrow(
    new RegExp(`ended with 1: courier: cannot start: COURIER_PORT ${port} of 127.0.0.1 is in use: `),
  );
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const other = String((taken.address() as AddressInfo).port);
  await expect(startProcess({ ...env, COURIER_PORT: other })).rejects.toThrow(
    `ended with 1: courier: cannot start: COURIER_PORT ${other} of 127.0.0.1 is in use: `,
  );
  taken.close();
});

test('where the kernel shares out no connections the supervisor does', async () => {
  const refuse = `import net from 'node:net'; const { listen } = net.Server.prototype;
    net.Server.prototype.listen = function (options, ...rest) {
      if (!options?.reusePort) return listen.call(this, options, ...rest);
      process.nextTick(() => this.emit('error', Object.assign(new Error('not here'), { code: 'ENOTSUP' })));
      return this;
    };`;
  await using workers = await startWorkers({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(refuse)}` });
  const token = await processToken('forge', 'service');
  await using stack = new AsyncDisposableStack();
  const sockets: RawSocket[] = [];
  for (let n = 0; n < SPREAD; n += 1) sockets.push(stack.use(await openSocket(wsUrl(workers.url, token))));
  await Promise.all(sockets.map((socket) => socket.count(1)));
  await publish(workers.url, token);
  await Promise.all(sockets.map((socket) => socket.count(2)));
  const admin = httpClient(workers.url, await processToken('root', 'admin')).admin;
  const { connections } = await admin.connections.query({});
  for (const worker of [1, 2]) expect(connections.filter((one) => one.worker === worker)).toHaveLength(SPREAD / 2);
  expect(await workers.process.end('SIGTERM')).toBe(0);
});

test('a log that cannot be opened is told of once', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_WORKERS: '3', COURIER_LOG: `sqlite:${folder.file('none.db')}?mode=rw` };
  await expect(startProcess(env)).rejects.toThrow(/ended with 1: courier: cannot start: COURIER_LOG: [^\n]*none\.db[^\n]*$/);
});

function seqOf(id: string): number {
  return Number(id.split('-')[1]);
}
