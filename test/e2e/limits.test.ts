/** Limits as clients meet them: over every surface, with how long to wait, and an end for those who do not. */
import { describe, expect, test } from 'vitest';
import { openSocket, signIn } from '../helpers/raw-socket.ts';
import { copies } from '../helpers/samples.ts';
import { startGateway, type TestGateway, worker } from '../helpers/trade.ts';

const limited = (limits: object) => startGateway({ COURIER_LIMITS: JSON.stringify(limits) });
const draft = worker.note();
const wsUrl = (gateway: TestGateway, path: string) => gateway.url.replace('http', 'ws') + path;
const publisher = (gateway: TestGateway) => gateway.token('ada', 'user', { publish: [worker.all] });

describe('publishing', () => {
  test('over plain HTTP is refused with 429 and how long to wait', async () => {
    await using gateway = await limited({ user: { publishPerMinute: 2 } });
    const authorization = `Bearer ${await publisher(gateway)}`;
    const publish = () =>
      fetch(`${gateway.url}/publish`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        body: JSON.stringify(draft),
      });
    expect([(await publish()).status, (await publish()).status]).toEqual([201, 201]);
    const refused = await publish();
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(20);
    const problem: unknown = await refused.json();
    expect(problem).toMatchObject({ code: 'TOO_MANY_REQUESTS', detail: 'publish: the limit of "ada" is reached' });
    expect(problem).not.toHaveProperty('channel');
  });

  test('is counted by principal, over all of its connections, before anything else is looked at', async () => {
    await using gateway = await limited({ user: { publishPerMinute: 2 } });
    const token = await publisher(gateway);
    await using first = gateway.webSocketClient(token);
    await using second = gateway.webSocketClient(token);
    await first.trpc.events.publish.mutate(draft);
    // A wrong one counts too.
    await expect(second.trpc.events.publish.mutate({ ...draft, data: {} })).rejects.toMatchObject({
      data: { code: 'BAD_REQUEST' },
    });
    await expect(gateway.httpClient(token).events.publish.mutate(draft)).rejects.toMatchObject({
      data: { code: 'TOO_MANY_REQUESTS', retryAfterMs: expect.any(Number) },
    });
    await using other = gateway.webSocketClient(await gateway.token('eve', 'user', { publish: [worker.all] }));
    await other.trpc.events.publish.mutate(draft);
  });

  test('counts the roles of one name apart, and so do idempotency keys and connections', async () => {
    await using gateway = await limited({ user: { publishPerMinute: 1, connections: 1 }, admin: { publishPerMinute: 1, connections: 1 } });
    const [user, admin] = [await publisher(gateway), await gateway.token('ada', 'admin')];
    const publish = (token: string) => gateway.httpClient(token).events.publish.mutate({ ...draft, idempotency_key: 'k' });
    const receipts = [await publish(user), await publish(admin)];
    expect(receipts).toMatchObject([{ duplicate: false }, { duplicate: false }]);
    expect(new Set(receipts.map(({ id }) => id)).size).toBe(2);
    for (const token of [user, admin]) await expect(publish(token)).rejects.toMatchObject({ data: { code: 'TOO_MANY_REQUESTS' } });
    await using asUser = await openSocket(wsUrl(gateway, `/ws/global?token=${user}`));
    await using asAdmin = await openSocket(wsUrl(gateway, `/ws/global?token=${admin}`));
    await Promise.all([asUser.count(1), asAdmin.count(1)]);
    await expect(openSocket(wsUrl(gateway, `/ws/global?token=${user}`))).rejects.toThrow('429');
  });

  test('counts each event of a batch, and all of them or none', async () => {
    await using gateway = await limited({ user: { publishPerSecond: null, publishPerMinute: 5 } });
    await using client = gateway.webSocketClient(await publisher(gateway));
    const publish = (count: number) => client.trpc.events.publishBatch.mutate(copies(count, draft));
    await publish(3);
    await expect(publish(3)).rejects.toMatchObject({ data: { code: 'TOO_MANY_REQUESTS' } });
    await publish(2);
    await expect(publish(6)).rejects.toMatchObject({ data: { code: 'BAD_REQUEST' }, message: expect.stringContaining('limit of 5') });
  });

  test('counts a batch whose input cannot be read, or whose caller may publish nothing, as one', async () => {
    await using gateway = await limited({ user: { publishPerSecond: null, publishPerMinute: 1 } });
    const refused = async (token: string, input: object) => {
      await using socket = await signIn(gateway.url, token);
      socket.send([1, 2].map((id) => ({ id, method: 'mutation', params: { path: 'events.publishBatch', input } })));
      const answers = (await socket.count(2)).map((text) => JSON.parse(text) as { error: { json: { data: { code: string } } } });
      return answers.map(({ error }) => error.json.data.code);
    };
    const unreadable = { json: [draft], meta: { values: { 0: ['set'] } } };
    expect(await refused(await publisher(gateway), unreadable)).toEqual(['BAD_REQUEST', 'TOO_MANY_REQUESTS']);
    expect(await refused(await gateway.token('bob'), { json: Array(100).fill(draft) })).toEqual(['FORBIDDEN', 'TOO_MANY_REQUESTS']);
  });
});

test('the calls of one HTTP batch are counted one by one, and the answer says how long to wait', async () => {
  await using gateway = await limited({ user: { queriesPerSecond: 2 } });
  const headers = { authorization: `Bearer ${await gateway.token('ada')}` };
  const response = await fetch(`${gateway.url}/trpc/auth.whoami,auth.whoami,auth.whoami?batch=1`, { headers });
  const answers = (await response.json()) as { result?: object; error?: { json: { data: { code: string } } } }[];
  expect(answers.map(({ result, error }) => (result === undefined ? error?.json.data.code : 'answered'))).toEqual([
    'answered',
    'answered',
    'TOO_MANY_REQUESTS',
  ]);
  expect(response.headers.get('retry-after')).toBe('1');
});

describe('a call of no procedure of its type is counted as a query', () => {
  test.each([
    ['a mutation by GET', 'GET', 'events.publish'],
    ['a query by POST', 'POST', 'auth.whoami'],
    ['nothing', 'GET', 'events.nothing'],
  ])('over HTTP: %s', async (_, method, path) => {
    await using gateway = await limited({ user: { queriesPerSecond: 1 } });
    const headers = { authorization: `Bearer ${await gateway.token('ada')}`, 'content-type': 'application/json' };
    const call = async () => (await fetch(`${gateway.url}/trpc/${path}`, { method, headers })).status;
    expect([await call(), await call()]).toEqual([expect.toSatisfy((status: number) => [404, 405].includes(status)), 429]);
  });

  test.each(['query', 'mutation'])('over WebSocket: %s', async (method) => {
    await using gateway = await limited({ user: { queriesPerSecond: 1 } });
    await using client = await signIn(gateway.url, await gateway.token('ada'));
    const path = method === 'query' ? 'events.publish' : 'auth.whoami';
    client.send([1, 2].map((id) => ({ id, method, params: { path } })));
    const codes = (await client.count(2)).map(
      (text) => (JSON.parse(text) as { error: { json: { data: { code: string } } } }).error.json.data.code,
    );
    expect(codes).toEqual(['NOT_FOUND', 'TOO_MANY_REQUESTS']);
  });
});

test('subscriptions are counted', async () => {
  await using gateway = await limited({ user: { subscribePerSecond: 1 } });
  const token = await gateway.token('ada');
  await using first = await openSocket(wsUrl(gateway, `/ws/global?token=${token}`));
  await first.count(1);
  await using second = await openSocket(wsUrl(gateway, `/ws/global?token=${token}`));
  expect(await second.closed).toEqual({ code: 4429, reason: 'subscribe: the limit of "ada" is reached' });
});

describe('connections', () => {
  test('of one principal: one too many is closed with 1013, and one that leaves makes room', async () => {
    await using gateway = await limited({ user: { connections: 2 } });
    const token = await gateway.token('ada');
    await using first = await signIn(gateway.url, token);
    await using second = await openSocket(wsUrl(gateway, `/ws/global?token=${token}`));
    await second.count(1);
    first.send({ id: 1, method: 'query', params: { path: 'auth.whoami' } });
    await first.count(1);
    await using third = await signIn(gateway.url, token);
    expect(await third.closed).toMatchObject({ code: 1013 });
    await using other = await openSocket(wsUrl(gateway, `/ws/global?token=${await gateway.token('eve')}`));
    await other.count(1);
    await second[Symbol.asyncDispose]();
    const comesIn = async () => {
      await using socket = await openSocket(wsUrl(gateway, `/ws/global?token=${token}`)).catch(() => undefined);
      return socket !== undefined;
    };
    await expect.poll(comesIn).toBe(true);
  });

  test('of everyone', async () => {
    await using gateway = await limited({ gateway: { connections: 1 } });
    await using first = await openSocket(wsUrl(gateway, `/ws/global?token=${await gateway.token('ada')}`));
    await first.count(1);
    await expect(signIn(gateway.url, await gateway.token('eve'))).rejects.toThrow('503');
  });

  test('of everyone, where strangers take no places, and are not more themselves', async () => {
    await using gateway = await limited({ gateway: { connections: 2 } });
    const stranger = () => openSocket(wsUrl(gateway, '/trpc?connectionParams=1'));
    await using _waiting = await stranger();
    await using other = await stranger();
    await expect(stranger()).rejects.toThrow('429');
    await using known = await openSocket(wsUrl(gateway, `/ws/global?token=${await gateway.token('ada')}`));
    await known.count(1);
    other.send({ method: 'connectionParams', data: { token: await gateway.token('eve') } });
    other.send({ id: 1, method: 'query', params: { path: 'auth.whoami' } });
    await other.count(1);
    await expect(openSocket(wsUrl(gateway, `/ws/global?token=${await gateway.token('ida')}`))).rejects.toThrow('503');
    await expect.poll(() => gateway.census).toMatchObject({ places: 2, unauthenticated: 1 });
  });

  test('that have not authenticated, of one address', async () => {
    await using gateway = await limited({ gateway: { unauthenticatedPerAddress: 1 } });
    await using waiting = await openSocket(wsUrl(gateway, '/trpc?connectionParams=1'));
    await expect(openSocket(wsUrl(gateway, '/trpc?connectionParams=1'))).rejects.toThrow('429');
    waiting.send({ method: 'connectionParams', data: { token: await gateway.token('ada') } });
    waiting.send({ id: 1, method: 'query', params: { path: 'auth.whoami' } });
    await waiting.count(1);
    await using next = await signIn(gateway.url, await gateway.token('ada'));
    next.send({ id: 1, method: 'query', params: { path: 'auth.whoami' } });
    await next.count(1);
  });
});

test('wrong tokens of one address are answered with 429 after a while, and valid ones let in all the same', async () => {
  await using gateway = await limited({ gateway: { failedAuthenticationsPerMinute: 3 } });
  const ask = async (token: string) => (await fetch(`${gateway.url}/stats`, { headers: { authorization: `Bearer ${token}` } })).status;
  expect([await ask('a'), await ask('b'), await ask('c'), await ask('d')]).toEqual([401, 401, 401, 429]);
  await expect(openSocket(wsUrl(gateway, '/ws/global?token=nonsense'))).rejects.toThrow('429');
  expect(await ask(await gateway.token('root', 'admin'))).toBe(200);
});

test('a client that does not heed its limits is closed with 4429', async () => {
  await using gateway = await limited({ user: { queriesPerSecond: 1 } });
  await using client = await signIn(gateway.url, await gateway.token('ada'));
  await using other = await signIn(gateway.url, await gateway.token('eve'));
  const call = (id: number) => client.send({ id, method: 'query', params: { path: 'auth.whoami' } });
  call(1);
  call(2);
  const answers = (await client.count(2)).map((message) => JSON.parse(message) as { error?: { json: { data: object } } });
  expect(answers.map(({ error }) => error?.json.data)).toEqual([
    undefined,
    expect.objectContaining({ code: 'TOO_MANY_REQUESTS', retryAfterMs: 1000 }),
  ]);
  for (let id = 3; id <= 1200; id += 1) call(id);
  expect(await client.closed).toEqual({ code: 4429, reason: 'limits exceeded for too long' });
  other.send({ id: 1, method: 'query', params: { path: 'auth.whoami' } });
  await other.count(1);
});
