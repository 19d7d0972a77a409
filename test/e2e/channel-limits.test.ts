/** Limits of channels and of single users, as publishers meet them: over every surface, one count for all publishers. */
import { describe, expect, test } from 'vitest';
import { startClusterOf } from '../helpers/cluster.ts';
import { UNLIMITED } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { copies } from '../helpers/samples.ts';
import { startGateway, startProcess, type TestGateway, type TradeDraft, traveller, worker } from '../helpers/trade.ts';

const env = (limits: object) => ({ COURIER_LIMITS: JSON.stringify({ ...JSON.parse(UNLIMITED), ...limits }) });
const limited = (limits: object) => startGateway(env(limits));
const perMinute = (publishPerMinute: number | null) => ({ publishPerSecond: null, publishPerMinute });
const on = (id: string) => worker.note('k', id);
const publisher = (gateway: TestGateway, sub = 'ada') => gateway.token(sub, 'user', { publish: [worker.all] });
const reached = (id: string) => ({
  message: `publish: the limit of the channel ${worker.channel(id)} is reached`,
  data: { code: 'TOO_MANY_REQUESTS', httpStatus: 429, retryAfterMs: expect.any(Number), channel: worker.channel(id) },
});

function post(gateway: TestGateway, token: string, draft: TradeDraft): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return fetch(`${gateway.url}/publish`, { method: 'POST', headers, body: JSON.stringify(draft) });
}

async function metric(gateway: TestGateway, labels: string): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return Number(new RegExp(`^courier_rate_limit_hits_total\\{${labels}\\} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

describe('a channel', () => {
  test('has one count for all publishers, over all surfaces, and each channel of a pattern one of its own', async () => {
    await using gateway = await limited({ channels: { [worker.all]: perMinute(3) } });
    await using socket = gateway.webSocketClient(await publisher(gateway));
    const http = gateway.httpClient(await publisher(gateway, 'eve'));
    const service = await gateway.token(worker.service, 'service');
    await socket.trpc.events.publish.mutate(on('a'));
    await http.events.publish.mutate(on('a'));
    expect((await post(gateway, service, on('a'))).status).toBe(201);
    await expect(socket.trpc.events.publish.mutate(on('a'))).rejects.toMatchObject(reached('a'));
    await expect(http.events.publish.mutate(on('a'))).rejects.toMatchObject(reached('a'));
    await expect(worker.over(gateway.httpClient(service)).publish.mutate(on('a'))).rejects.toMatchObject(reached('a'));
    const refused = await post(gateway, service, on('a'));
    expect([refused.status, Number(refused.headers.get('retry-after'))]).toEqual([429, expect.closeTo(20, -1)]);
    expect(await refused.json()).toMatchObject({
      code: 'TOO_MANY_REQUESTS',
      detail: reached('a').message,
      channel: worker.channel('a'),
    });
    await socket.trpc.events.publish.mutate(on('b'));
    expect(await metric(gateway, 'limit="channel"')).toBe(4);
    expect(await metric(gateway, 'limit="publish"')).toBe(0);
  });

  test('with a limit of its own has that in the place of those of patterns; else the narrowest counts', async () => {
    const channels = {
      '**': perMinute(4),
      [worker.all]: perMinute(2),
      [worker.channel('wide')]: perMinute(3),
      [worker.channel('free')]: perMinute(null),
      [worker.family.replace(/[^.]+/g, '*').concat('.narrow')]: perMinute(1),
    };
    await using gateway = await limited({ channels });
    const trpc = gateway.httpClient(await gateway.token('root', 'admin'));
    const admitted = async (draft: TradeDraft) => {
      let count = 0;
      while (count < 6 && (await trpc.events.publish.mutate(draft).then(Boolean, () => false))) count += 1;
      return count;
    };
    expect(await admitted(on('any'))).toBe(2);
    expect(await admitted(on('wide'))).toBe(3);
    expect(await admitted(on('free'))).toBe(6);
    expect(await admitted(on('narrow'))).toBe(1);
    expect(await admitted(traveller.measure(0.5, 'other'))).toBe(4);
  });

  test('counts each event of a batch with its channel, all of them or none, and what it refuses is stored nowhere', async () => {
    await using gateway = await limited({ channels: { [worker.all]: perMinute(3) } });
    const trpc = gateway.httpClient(await publisher(gateway));
    const batch = (...ids: string[]) => trpc.events.publishBatch.mutate(ids.map(on));
    await batch('a', 'b', 'a');
    await expect(batch('b', 'a', 'b', 'a')).rejects.toMatchObject(reached('a'));
    // Nothing of the refused batch was counted.
    await batch('b', 'b', 'a');
    await expect(batch('b')).rejects.toMatchObject(reached('b'));
    await expect(trpc.events.publishBatch.mutate(copies(4, on('c')))).rejects.toMatchObject({
      message: `4 events at once are more than the limit of 3 of the channel ${worker.channel('c')} lets through at any time`,
      data: { code: 'BAD_REQUEST' },
    });
    const page = await gateway.httpClient(await gateway.token('root', 'admin')).events.history.query({ channels: [worker.all] });
    expect(page.events).toHaveLength(6);
  });

  test('takes nothing for what is wrong or not granted', async () => {
    await using gateway = await limited({ channels: { [worker.all]: perMinute(1) } });
    const token = await publisher(gateway);
    expect((await post(gateway, token, { ...on('a'), data: {} })).status).toBe(400);
    expect((await post(gateway, await gateway.token('bob'), on('a'))).status).toBe(403);
    expect((await post(gateway, token, on('a'))).status).toBe(201);
    expect((await post(gateway, token, on('a'))).status).toBe(429);
  });

  test('that is full takes nothing of its publishers, who are not too greedy for it', async () => {
    await using gateway = await limited({ user: perMinute(3), channels: { [worker.channel('full')]: perMinute(1) } });
    const token = await publisher(gateway);
    await using socket = gateway.webSocketClient(token);
    await socket.trpc.events.publish.mutate(on('full'));
    for (let n = 0; n < 10; n += 1) await expect(socket.trpc.events.publish.mutate(on('full'))).rejects.toMatchObject(reached('full'));
    await socket.trpc.events.publish.mutate(on('a'));
    await socket.trpc.events.publish.mutate(on('a'));
    await expect(socket.trpc.events.publish.mutate(on('a'))).rejects.toMatchObject({ message: 'publish: the limit of "ada" is reached' });
  });

  test('that is full gives back a thousand refused publishes a minute, and not those of who never ceases', async () => {
    await using gateway = await limited({ user: perMinute(100), channels: { [worker.channel('full')]: perMinute(1) } });
    await using socket = gateway.webSocketClient(await publisher(gateway));
    const publish = () => socket.trpc.events.publish.mutate(on('full')).then(() => 'stored', String);
    const outcomes = [await publish()];
    // Fewer at once than the publisher may: its own limit is reached only once nothing is given back.
    while (!outcomes.some((outcome) => outcome.includes('the limit of "ada"')))
      outcomes.push(...(await Promise.all(Array.from({ length: 90 }, publish))));
    expect(outcomes.filter((outcome) => outcome.includes('the limit of the channel')).length).toBeGreaterThanOrEqual(1000);
  });

  test('that is full counts what it gives back of a batch by its events', async () => {
    await using gateway = await limited({ user: perMinute(100), channels: { [worker.channel('full')]: perMinute(50) } });
    await using socket = gateway.webSocketClient(await publisher(gateway));
    const publish = () => socket.trpc.events.publishBatch.mutate(copies(50, on('full'))).then(() => 'stored', String);
    expect(await publish()).toBe('stored');
    const refused: string[] = [];
    while (!refused.at(-1)?.includes('the limit of "ada"')) refused.push(await publish());
    expect(refused.length).toBeGreaterThan(1000 / 50);
    expect(refused.length).toBeLessThan(1000 / 50 + 20);
  });

  test('has one count on all instances', async () => {
    await using cluster = await startClusterOf(startGateway, env({ channels: { [worker.all]: perMinute(4) } }));
    const [one, other] = cluster.gateways;
    const clients = await Promise.all([one, other].map(async (gateway) => gateway.httpClient(await publisher(gateway))));
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, index) => clients[index % 2]?.events.publish.mutate(on('a')).then(() => 'stored', String)),
    );
    expect(outcomes.filter((outcome) => outcome === 'stored')).toHaveLength(4);
    expect(outcomes.filter((outcome) => outcome?.includes(`the channel ${worker.channel('a')} is reached`))).toHaveLength(8);
  });

  test.each([
    [
      'nothing.*',
      /^the gateway ended with 2: courier: COURIER_LIMITS channels\.nothing\.\*: "nothing\.\*" can match no channel; channels are /,
    ],
    ['a b', /^the gateway ended with 2: courier: COURIER_LIMITS channels\.a b: "a b" is neither a channel nor a pattern/],
  ])('that the contract does not have (%s) ends the start', async (pattern, line) => {
    const started = startProcess({ COURIER_LOG: 'memory:', ...env({ channels: { [pattern]: perMinute(1) } }) });
    await expect(started).rejects.toThrow(line);
  });
});

describe('a single user', () => {
  test('has its own limits in every role, in the place of those of the role', async () => {
    const own = { connections: 1, publishPerMinute: 2 };
    await using gateway = await limited({ user: perMinute(1), users: { ada: own, constructor: perMinute(3) } });
    const admitted = async (token: string) => {
      let count = 0;
      while ((await post(gateway, token, on('a'))).status === 201) count += 1;
      return count;
    };
    expect(await admitted(await publisher(gateway))).toBe(2);
    expect(await admitted(await gateway.token('ada', 'admin'))).toBe(2);
    expect(await admitted(await publisher(gateway, 'constructor'))).toBe(3);
    expect(await admitted(await publisher(gateway, 'toString'))).toBe(1);
    const path = `${gateway.url.replace('http', 'ws')}/ws/global?token=${await gateway.token('ada')}`;
    await using first = await openSocket(path);
    await first.count(1);
    await expect(openSocket(path)).rejects.toThrow('429');
  });
});
