/** Known traffic, and what `/metrics` says of it. */
import { setTimeout as wait } from 'node:timers/promises';
import { generateKeyPair, SignJWT } from 'jose';
import { expect, test } from 'vitest';
import type { Health } from '../../src/contract/admin.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { NO_STATES } from '../../src/state/figures.ts';
import { collect } from '../helpers/collect.ts';
import { startGateway, type TestGateway, UNLIMITED } from '../helpers/gateway.ts';
import { contract as lumiere } from '../helpers/lumiere.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { jobStarted } from '../helpers/samples.ts';

type Item = { id: string; data: { type: string } };

/** Values by name and labels, as they are written. */
async function read(gateway: TestGateway): Promise<{ text: string; value: (series: string) => number }> {
  const response = await fetch(`${gateway.url}/metrics`);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  const values = new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))] as const),
  );
  return { text, value: (series) => values.get(series) ?? Number.NaN };
}

/** What a canary would be in a label: every name that callers choose. */
const CANARY = 'canary7261';

test('known traffic is counted, and no label is of a caller', async () => {
  const limits = { ...JSON.parse(UNLIMITED), user: { queriesPerSecond: 1 } };
  await using gateway = await startGateway({ COURIER_LIMITS: JSON.stringify(limits) });
  const wsUrl = gateway.url.replace('http', 'ws');
  const service = await gateway.token('forge', 'service');
  {
    await using reader = gateway.webSocketClient(await gateway.token(CANARY, 'service'));
    await using writer = gateway.webSocketClient(service);
    const draft = { type: 'forge.job.started', channel: `forge.job.${CANARY}`, data: { job_id: CANARY, kind: CANARY } } as const;
    await writer.trpc.forge.publish.mutate(draft);
    // One from the log, for each; then live.
    const subscribe = (input: object) =>
      collect<Item>((observer) => reader.trpc.events.subscribe.subscribe({ channels: [`forge.job.${CANARY}`], ...input }, observer));
    using first = subscribe({ from: 'earliest' });
    using second = subscribe({ lastEventId: 'another-1' });
    await Promise.all([first.count(2), second.count(2)]);
    await using plain = await openSocket(`${wsUrl}/ws/**?token=${service}`);
    await plain.count(1);
    await writer.trpc.events.publishBatch.mutate([draft, { ...draft, type: 'forge.job.completed', data: { job_id: CANARY } }]);
    await Promise.all([first.count(4), second.count(4), plain.count(3)]);

    const { value } = await read(gateway);
    expect(value('courier_active_connections{transport="trpc"}')).toBe(2);
    expect(value('courier_active_connections{transport="plain"}')).toBe(1);
    expect(value('courier_active_subscriptions')).toBe(3);
    // One channel, and all five families.
    expect(value('courier_active_channels')).toBe(6);
    expect(value('courier_subscribers_catching_up')).toBe(0);
    expect(value('courier_messages_published_total{service="forge"}')).toBe(3);
    expect(value('courier_messages_published_total{service="prophet"}')).toBe(0);
    expect(value('courier_replayed_events_total')).toBe(1);
    // One replayed; two live to each of three.
    expect(value('courier_messages_delivered_total')).toBe(7);
    expect(value('courier_gaps_total{reason="epoch"}')).toBe(1);
    expect(value('courier_publish_request_duration_seconds_count{outcome="stored"}')).toBe(2);
    expect(value('courier_message_delivery_duration_seconds_count')).toBeGreaterThanOrEqual(1);
    expect(value('courier_websocket_message_size_bytes_count{direction="out"}')).toBeGreaterThanOrEqual(5);
    expect(value('courier_log_position{which="head"}')).toBe(3);
    expect(value('courier_log_position{which="first_retained"}')).toBe(1);

    await expect(writer.trpc.forge.publish.mutate({ ...draft, data: {} } as never)).rejects.toThrow();
    await expect(
      writer.trpc.events.publish.mutate({ ...draft, type: 'backtest.started', channel: 'global', data: { backtest_id: 'b' } }),
    ).rejects.toThrow();
  }
  for (const token of ['nonsense', CANARY]) await fetch(`${gateway.url}/stats`, { headers: { authorization: `Bearer ${token}` } });
  const headers = { authorization: `Bearer ${await gateway.token(CANARY)}` };
  for (let n = 0; n < 3; n += 1) await fetch(`${gateway.url}/events/global`, { headers });
  await fetch(`${gateway.url}/publish`, {
    method: 'POST',
    headers: { authorization: `Bearer ${service}`, 'content-type': 'application/json' },
    body: '{',
  });

  let { value, text } = await read(gateway);
  while (value('courier_active_connections{transport="plain"}') + value('courier_active_connections{transport="trpc"}') > 0) {
    await wait(5);
    ({ value, text } = await read(gateway));
  }
  expect(value('courier_connections_total{transport="trpc"}')).toBe(2);
  expect(value('courier_connections_total{transport="plain"}')).toBe(1);
  expect(value('courier_disconnections_total{transport="plain",code="1006"}')).toBe(1);
  expect(value('courier_disconnections_total{transport="trpc",code="1005"}')).toBe(2);
  expect(value('courier_active_subscriptions')).toBe(0);
  expect(value('courier_active_channels')).toBe(0);
  expect(value('courier_subscribers_catching_up')).toBe(0);
  expect(value('courier_auth_failures_total{reason="invalid"}')).toBe(2);
  expect(value('courier_rate_limit_hits_total{limit="query"}')).toBe(2);
  expect(value('courier_validation_failures_total{surface="trpc"}')).toBe(1);
  expect(value('courier_validation_failures_total{surface="http"}')).toBe(1);
  expect(value('courier_publish_request_duration_seconds_count{outcome="refused"}')).toBe(1);
  expect(text).not.toContain(CANARY);
  expect(text).toContain('process_cpu_user_seconds_total');
  expect(text).toContain('nodejs_eventloop_lag_p99_seconds');
});

test('clients are counted in a few classes, whatever they call themselves', async () => {
  await using gateway = await startGateway();
  const { contract } = await gateway.httpClient(await gateway.token('ada')).auth.whoami.query();
  const token = await gateway.token('ada');
  const connect = (client: string | undefined, hash: string | undefined) =>
    openSocket(`${gateway.url.replace('http', 'ws')}/ws/global?token=${token}`, {
      headers: { ...(client && { 'x-courier-client': client }), ...(hash && { 'x-courier-contract': hash }) },
    });
  await using stack = new AsyncDisposableStack();
  for (const [client, hash] of [
    ['courier-client-typescript/0.1.0', contract],
    ['courier-client-typescript/9.9.9', contract],
    ['courier-client-typescript/0.0.1', '0123456789abcdef'],
    ['courier-client-python/0.1.0', contract],
    [`${CANARY}/1`, 'fedcba9876543210'],
    ['courier-client-typescript', undefined],
    [undefined, undefined],
  ] as const) {
    const socket = stack.use(await connect(client, hash));
    await socket.count(1);
  }
  const { text } = await read(gateway);
  const series = text.split('\n').filter((line) => line.startsWith('courier_client_connections{'));
  expect(series.sort()).toEqual([
    'courier_client_connections{client="other",contract="current"} 0',
    'courier_client_connections{client="other",contract="other"} 1',
    'courier_client_connections{client="other",contract="unknown"} 2',
    'courier_client_connections{client="python",contract="current"} 1',
    'courier_client_connections{client="python",contract="other"} 0',
    'courier_client_connections{client="python",contract="unknown"} 0',
    'courier_client_connections{client="typescript",contract="current"} 2',
    'courier_client_connections{client="typescript",contract="other"} 1',
    'courier_client_connections{client="typescript",contract="unknown"} 0',
  ]);
  expect(text).not.toContain(CANARY);
  expect(text).not.toContain(contract);
  await stack.disposeAsync();
  const some = /courier_client_connections\{.*\} [1-9]/;
  await expect.poll(async () => (await read(gateway)).text).not.toMatch(some);
});

test('refusals and failures are counted by their reason', async () => {
  const limits = { ...JSON.parse(UNLIMITED), user: { connections: 1, publishPerSecond: 1, subscribePerSecond: 1 } };
  limits.gateway.failedAuthenticationsPerMinute = 1;
  await using gateway = await startGateway({ COURIER_LIMITS: JSON.stringify(limits) });
  const url = gateway.url.replace('http', 'ws');
  const token = await gateway.token('ada');
  const get = (bearer: string) => fetch(`${gateway.url}/events/global`, { headers: { authorization: `Bearer ${bearer}` } });
  {
    await using held = await openSocket(`${url}/ws/global?token=${token}`);
    await held.count(1);
    await expect(openSocket(`${url}/ws/global?token=${token}`)).rejects.toThrow('429');
    await using client = gateway.webSocketClient(await gateway.token('eve', 'user', { publish: ['**'] }));
    const draft = jobStarted();
    await client.trpc.events.publish.mutate(draft);
    await expect(client.trpc.events.publish.mutate(draft)).rejects.toThrow();
    using one = collect<Item>((observer) => client.trpc.global.onEvent.subscribe({}, observer));
    await one.count(1);
    using two = collect<Item>((observer) => client.trpc.global.onEvent.subscribe({}, observer));
    await expect(two.count(1)).rejects.toThrow();
    // The gateway has just found it valid.
    const revoked = await gateway.token('mallory');
    await get(revoked);
    await gateway.httpClient(await gateway.token('root', 'admin')).admin.revoke.mutate({ sub: 'mallory' });
    await get(revoked);
    await get('nonsense');
    await get('nonsense');
    await using broken = await openSocket(`${url}/trpc?connectionParams=1`);
    (broken.ws as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(Buffer.from([0xff, 0xff]));
    await broken.closed;
  }
  const { value } = await read(gateway);
  expect(value('courier_rate_limit_hits_total{limit="connections"}')).toBe(1);
  expect(value('courier_rate_limit_hits_total{limit="publish"}')).toBe(1);
  expect(value('courier_rate_limit_hits_total{limit="subscribe"}')).toBe(1);
  expect(value('courier_rate_limit_hits_total{limit="address"}')).toBe(2);
  expect(value('courier_auth_failures_total{reason="revoked"}')).toBe(1);
  expect(value('courier_auth_failures_total{reason="invalid"}')).toBe(2);
  expect(value('courier_validation_failures_total{surface="websocket"}')).toBe(1);
  expect(value('courier_log_size_bytes')).toBeGreaterThan(0);

  // Nobody listens on port 1.
  await using other = await startGateway({ COURIER_JWKS_URL: 'http://127.0.0.1:1/jwks.json', COURIER_JWT_SECRET: '' });
  const { privateKey } = await generateKeyPair('ES256');
  const signed = await new SignJWT({}).setProtectedHeader({ alg: 'ES256' }).setSubject('ada').setExpirationTime('1h').sign(privateKey);
  expect((await fetch(`${other.url}/events/global`, { headers: { authorization: `Bearer ${signed}` } })).status).toBe(503);
  expect((await read(other)).value('courier_auth_failures_total{reason="unavailable"}')).toBe(1);
});

test('every metric has its name of the design, a help text and a type', async () => {
  await using gateway = await startGateway();
  const { text } = await read(gateway);
  const kinds = {
    counter: [
      'courier_connections_total',
      'courier_disconnections_total',
      'courier_messages_published_total',
      'courier_messages_delivered_total',
      'courier_auth_failures_total',
      'courier_validation_failures_total',
      'courier_rate_limit_hits_total',
      'courier_errors_total',
    ],
    gauge: ['courier_active_connections', 'courier_active_channels'],
    histogram: [
      'courier_message_delivery_duration_seconds',
      'courier_websocket_message_size_bytes',
      'courier_publish_request_duration_seconds',
    ],
  };
  for (const [kind, names] of Object.entries(kinds)) for (const name of names) expect(text).toContain(`# TYPE ${name} ${kind}\n`);
  const typed = [...text.matchAll(/# TYPE (\S+)/g)].map(([, name]) => name);
  const helped = [...text.matchAll(/# HELP (\S+) (.{10,})/g)].map(([, name]) => name);
  expect(helped).toEqual(typed);
});

test('callers who come at once share what is made, as it asks the log and they need no token', async () => {
  let asked = 0;
  const zero = () => 0;
  const metrics = createMetrics({
    contract: lumiere,
    connections: () => ({ trpc: 0, plain: 0, sse: 0 }),
    clients: () => [],
    channels: zero,
    subscriptions: zero,
    states: () => NO_STATES,
    bounds: async () => {
      asked += 1;
      return { first: 1, head: asked };
    },
    bytes: async () => 0,
    freeBytes: () => undefined,
    health: async () => ({ components: {} }) as Health,
    logReads: zero,
    tailRepairs: zero,
    brokerIsUp: () => true,
    instances: zero,
  });
  const [one, other] = await Promise.all([metrics.metrics(), metrics.metrics()]);
  expect([one.text === other.text, asked]).toEqual([true, 1]);
  expect((await metrics.metrics()).text).toContain('courier_log_position{which="head"} 2');
});
