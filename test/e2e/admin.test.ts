/** `admin.*`: seeing who is there, and sending somebody away. */
import { expect, test } from 'vitest';
import { connect } from '../faults/load.ts';
import { collect } from '../helpers/collect.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { processToken } from '../helpers/process.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { copies } from '../helpers/samples.ts';
import { FAMILIES, startGateway, startProcess, type TestGateway, traveller, worker } from '../helpers/trade.ts';

type Item = { id: string; data: { type: string } };

const adminOf = async (gateway: TestGateway) => gateway.httpClient(await gateway.token('root', 'admin')).admin;

test('connections are listed with who, since when, over what, how many subscriptions and how far behind', async () => {
  await using gateway = await startGateway();
  const admin = await adminOf(gateway);
  expect(await admin.connections.query()).toEqual({ total: 0, connections: [] });
  const before = new Date();
  await using client = gateway.webSocketClient(await gateway.token('ada', 'user', { subscribe: [worker.everything] }));
  using work = collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels: [worker.channel('j')] }, observer));
  using own = collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels: ['user.ada'] }, observer));
  await Promise.all([work.count(1), own.count(1)]);
  await using plain = await openSocket(
    `${gateway.url.replace('http', 'ws')}/ws/**?token=${await gateway.token(worker.service, 'service')}`,
  );
  await plain.count(1);
  const { total, connections } = await admin.connections.query();
  expect(total).toBe(2);
  const families = FAMILIES.slice(1).map((family) => `${family}.*`);
  expect(connections).toEqual([
    {
      connection_id: expect.any(String),
      sub: 'ada',
      role: 'user',
      transport: 'trpc',
      address: '127.0.0.1',
      client: null,
      contract: null,
      since: expect.any(Date),
      expires_at: expect.any(Date),
      subscriptions: 2,
      channels: [worker.channel('j'), 'user.ada'],
      worker: null,
      buffered_bytes: 0,
      lag: 0,
    },
    expect.objectContaining({
      sub: worker.service,
      role: 'service',
      transport: 'plain',
      subscriptions: 1,
      channels: ['global', ...families],
    }),
  ]);
  expect(connections[0]?.since.getTime()).toBeGreaterThanOrEqual(before.getTime());
  expect((await admin.connections.query({ sub: worker.service })).connections.map(({ sub }) => sub)).toEqual([worker.service]);
  const channels = [...families, 'global', worker.channel('j'), 'user.ada'].sort();
  expect(await admin.channels.query()).toEqual(channels.map((channel) => ({ channel, subscribers: 1, rate: 0, last_event: null })));
  expect(await admin.stats.query()).toMatchObject({
    connections: { total: 2, transport: { trpc: 1, plain: 1 }, role: { user: 1, service: 1, admin: 0 } },
    subscriptions: 3,
    log: { events: 0, bytes: 0 },
  });
});

test('a reader that does not read is seen to be behind', { timeout: 60_000 }, async () => {
  await using gateway = await startGateway();
  const admin = await adminOf(gateway);
  await using writer = gateway.webSocketClient(await gateway.token(worker.service, 'service'));
  await using slow = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/**?token=${await gateway.token('slow', 'service')}`);
  await slow.count(1);
  slow.ws.pause();
  const draft = worker.report({ text: 'x'.repeat(2000) });
  const seen = async () => (await admin.connections.query({ sub: 'slow' })).connections[0];
  for (let row = await seen(); (row?.lag ?? 0) === 0; row = await seen()) await writer.trpc.events.publishBatch.mutate(copies(100, draft));
  expect((await seen())?.buffered_bytes).toBeGreaterThan(256 * 1024);
  slow.ws.resume();
  await expect.poll(async () => (await seen())?.lag).toBe(0);
});

test('one connection is sent away, and its client comes back', async () => {
  await using gateway = await startGateway();
  const admin = await adminOf(gateway);
  const url = `${gateway.url.replace('http', 'ws')}/ws/global?token=${await gateway.token('ada')}`;
  await using first = await openSocket(url);
  await using second = await openSocket(url);
  await Promise.all([first.count(1), second.count(1)]);
  const [oldest] = (await admin.connections.query()).connections;
  expect(await admin.disconnect.mutate({ connection_id: oldest?.connection_id ?? '' })).toEqual({ disconnected: true });
  expect(await Promise.race([first.closed, second.closed])).toEqual({ code: 1013, reason: 'disconnected by an administrator' });
  expect(await admin.disconnect.mutate({ connection_id: oldest?.connection_id ?? '' })).toEqual({ disconnected: false });
  await expect.poll(async () => (await admin.connections.query()).total).toBe(1);
  await using again = await openSocket(url);
  await again.count(1);
});

test('channels are listed with how much comes on them, and what came last', async () => {
  await using gateway = await startGateway();
  const admin = await adminOf(gateway);
  const { publish } = worker.over(gateway.httpClient(await gateway.token(worker.service, 'service')));
  await using reader = await openSocket(
    `${gateway.url.replace('http', 'ws')}/ws/${worker.everything}?token=${await gateway.token('ada', 'admin')}`,
  );
  await reader.count(1);
  await publish.mutate(worker.note());
  const { id } = await publish.mutate(worker.report());
  await reader.count(3);
  const [family, channel, ...others] = await admin.channels.query();
  expect(family).toEqual({ channel: worker.all, subscribers: 1, rate: 0, last_event: null });
  expect(channel).toEqual({
    channel: worker.channel('j'),
    subscribers: 0,
    rate: expect.any(Number),
    last_event: { id, type: worker.reported.type, at: expect.any(Date) },
  });
  expect(channel?.rate).toBeGreaterThan(0);
  expect(others).toEqual([]);
});

test('what was stored before the start did not come of late', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
  const publishOn = async (gateway: TestGateway) => {
    const client = gateway.httpClient(await gateway.token(worker.service, 'service'));
    return worker.over(client).publish.mutate(worker.report());
  };
  {
    await using before = await startGateway(env);
    await publishOn(before);
  }
  await using gateway = await startGateway(env);
  const admin = await adminOf(gateway);
  expect(await admin.channels.query()).toEqual([]);
  const { id } = await publishOn(gateway);
  await expect.poll(async () => (await admin.channels.query()).map(({ last_event }) => last_event?.id)).toEqual([id]);
});

test('a channel on which something came has its subscribers, however many channels have as many', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  const { admin, events } = gateway.httpClient(token);
  await using stack = new AsyncDisposableStack();
  const open = async (channels: readonly string[]) => {
    const socket = stack.use(await openSocket(`${gateway.url.replace('http', 'ws')}/ws/${channels.join(',')}?token=${token}`));
    await socket.count(1);
    return socket;
  };
  for (let hundred = 0; hundred < 10; hundred += 1) await open(Array.from({ length: 100 }, (_, index) => `user.a${hundred * 100 + index}`));
  const last = await open(['user.z']);
  await events.publish.mutate({ ...worker.report(), channel: 'user.z' });
  await last.count(2);
  const channels = await admin.channels.query();
  expect(channels).toHaveLength(1001);
  expect(channels.find(({ channel }) => channel === 'user.z')).toMatchObject({
    subscribers: 1,
    last_event: { type: worker.reported.type },
  });
});

test('the last 15 minutes have what was done in them', { timeout: 30_000 }, async () => {
  await using gateway = await startGateway();
  const client = gateway.httpClient(await gateway.token('root', 'admin'));
  const { admin } = client;
  const { publish } = worker.over(client);
  await using reader = await openSocket(
    `${gateway.url.replace('http', 'ws')}/ws/${worker.everything}?token=${await gateway.token(worker.service, 'service')}`,
  );
  await reader.count(1);
  await publish.mutate(worker.report());
  await reader.count(2);
  await expect(publish.mutate({ ...worker.report(), data: {} })).rejects.toThrow();
  const totals = async () => {
    const { samples } = await admin.series.query();
    const total = (key: 'published' | 'delivered' | 'refused') => samples.reduce((sum, { rates }) => sum + rates[key], 0);
    return [total('published'), total('delivered'), total('refused')];
  };
  // An interval is not told before it is over.
  await expect.poll(async () => Math.min(...(await totals())), { timeout: 20_000 }).toBeGreaterThan(0);
  const { interval_ms, samples } = await admin.series.query();
  expect(interval_ms).toBe(5000);
  for (const { at } of samples) expect(at.getTime() % interval_ms).toBe(0);
  expect(samples.at(-1)).toMatchObject({ connections: 1, subscriptions: 1 });
  for (const key of ['publish_ms', 'delivery_ms'] as const) {
    const latency = samples.find((sample) => sample[key] !== null)?.[key];
    expect(latency?.p50).toBeGreaterThan(0);
    expect(latency?.p99).toBeGreaterThanOrEqual(latency?.p50 ?? Number.POSITIVE_INFINITY);
  }
});

test('who was given an event is told, and who has yet to read it', { timeout: 60_000 }, async () => {
  await using gateway = await startGateway();
  const admin = await adminOf(gateway);
  const { events } = gateway.httpClient(await gateway.token('root', 'admin'));
  const open = async (sub: string, path: string) =>
    openSocket(
      `${gateway.url.replace('http', 'ws')}/ws/${path}${path.includes('?') ? '&' : '?'}token=${await gateway.token(sub, 'service')}`,
    );
  await using reader = await open('reader', worker.channel('j'));
  await using other = await open('other', traveller.all);
  await using choosy = await open('choosy', `${worker.all}?types=${worker.failed}`);
  await using slow = await open('slow', '**');
  await Promise.all([reader, other, choosy, slow].map((socket) => socket.count(1)));
  slow.ws.pause();
  const draft = worker.report({ text: 'x'.repeat(2000) });
  const behind = async () => (await admin.connections.query({ sub: 'slow' })).connections[0]?.lag ?? 0;
  while ((await behind()) === 0) await events.publishBatch.mutate(copies(100, draft));
  const { id, channel, type } = await events.publish.mutate(draft);
  await using late = await open('late', worker.everything);
  await late.count(1);
  const told = async () => {
    const { total, recipients } = await admin.recipients.query({ id, channel, type });
    return { total, handed: Object.fromEntries(recipients.map(({ sub, handed }) => [sub, handed])) };
  };
  await expect.poll(told).toEqual({ total: 2, handed: { reader: true, slow: false } });
  slow.ws.resume();
  await expect.poll(told).toEqual({ total: 2, handed: { reader: true, slow: true } });
  await expect(admin.recipients.query({ id: 'another-1', channel, type })).rejects.toMatchObject({
    data: { code: 'BAD_REQUEST', issues: [{ path: 'id' }] },
  });
  await expect(admin.recipients.query({ id, channel: 'a..b', type })).rejects.toMatchObject({
    data: { code: 'BAD_REQUEST', issues: [{ path: 'channel', message: 'is no channel' }] },
  });
});

test('the log level changes while it runs', async () => {
  await using gateway = await startProcess({ COURIER_LOG: 'memory:', COURIER_LOG_LEVEL: 'info' });
  let logged = '';
  gateway.child.stdout?.on('data', (chunk) => {
    logged += String(chunk);
  });
  await using admin = connect(gateway.url, await processToken('root', 'admin'));
  /** Until its end is in the log, if it is to be. */
  const come = async (name: string) => {
    {
      await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/global?token=${await processToken(name, 'user')}`);
      await socket.count(1);
    }
    await expect.poll(async () => JSON.stringify(await admin.trpc.admin.connections.query())).not.toContain(`"${name}"`);
  };
  expect(await admin.trpc.admin.setLogLevel.mutate({ level: 'warn' })).toEqual({ level: 'warn' });
  await come('ada');
  await admin.trpc.admin.setLogLevel.mutate({ level: 'info' });
  await come('bob');
  await expect.poll(() => logged).toContain('"user_id":"bob"');
  expect(logged).not.toContain('"user_id":"ada"');
});

test('services are told figures, and users nothing', async () => {
  await using gateway = await startGateway();
  for (const role of ['user', 'service'] as const) {
    const { admin } = gateway.httpClient(await gateway.token('ada', role));
    const forAdmins = [
      () => admin.connections.query(),
      () => admin.recipients.query({ id: 'e-1', channel: 'global', type: traveller.begun }),
      () => admin.revoke.mutate({ sub: 'x' }),
      () => admin.disconnect.mutate({ connection_id: 'x' }),
      () => admin.setLogLevel.mutate({ level: 'trace' }),
      () => admin.rebuildState.mutate({ entity: 'x' }),
    ];
    const forServices = [() => admin.channels.query(), () => admin.stats.query(), () => admin.series.query()];
    for (const call of forAdmins) await expect(call()).rejects.toMatchObject({ data: { code: 'FORBIDDEN' } });
    for (const call of forServices) {
      if (role === 'service') await call();
      else await expect(call()).rejects.toMatchObject({ data: { code: 'FORBIDDEN' } });
    }
  }
});

test('what is to be revoked has the form of what tokens say', async () => {
  await using gateway = await startGateway();
  const admin = await adminOf(gateway);
  for (const field of ['sub', 'jti']) {
    for (const text of ['a\0b', 'a b', '', 'é', 'x'.repeat(129)]) {
      await expect(admin.revoke.mutate({ [field]: text } as never)).rejects.toMatchObject({
        message: `${field}: must be 1 to 128 printable ASCII characters`,
        data: { code: 'BAD_REQUEST', issues: [{ path: field }] },
      });
    }
    expect(await admin.revoke.mutate({ [field]: '~'.repeat(128) } as never)).toEqual({ ended: 0 });
  }
  const either = 'must be {sub}, {sub, role} or {jti}, with a known role';
  for (const [input, message] of [
    [{}, either],
    [{ role: 'user' }, either],
    [{ sub: 'x', jti: 'x' }, either],
    [{ sub: 'x', role: 'emperor' }, either],
    [{ sub: 1 }, either],
    [{ jti: 'x', role: 'user' }, 'role: is not a known key'],
  ] as const)
    await expect(admin.revoke.mutate(input as never)).rejects.toMatchObject({ message, data: { code: 'BAD_REQUEST' } });
});

test('statistics have the rates of the last minute and the size of the log', async () => {
  using folder = temporaryFolder();
  await using gateway = await startGateway({ COURIER_LOG: `sqlite:${folder.file('courier.db')}` });
  const admin = await adminOf(gateway);
  const before = await admin.stats.query();
  expect(before.rates).toEqual({ published: 0, delivered: 0, replayed: 0, failures: 0 });
  await using writer = gateway.webSocketClient(await gateway.token(worker.service, 'service'));
  using live = collect<Item>((observer) => writer.trpc.events.subscribe.subscribe({ channels: [worker.everything] }, observer));
  await live.count(1);
  const draft = worker.report({ text: 'x'.repeat(1000) });
  await writer.trpc.events.publishBatch.mutate(copies(100, draft));
  await live.count(101);
  const after = await admin.stats.query();
  // So many in the seconds since the start, of which there were few.
  const seconds = Math.max(1, after.uptime);
  for (const rate of [after.rates.published, after.rates.delivered]) {
    expect(rate).toBeGreaterThan(0);
    expect(rate * seconds).toBeGreaterThan(50);
    expect(rate * seconds).toBeLessThan(200);
  }
  expect(after.log.bytes - before.log.bytes).toBeGreaterThan(80_000);
  expect(after.connections).toEqual({ total: 1, transport: { trpc: 1, plain: 0, sse: 0 }, role: { user: 0, service: 1, admin: 0 } });
});
