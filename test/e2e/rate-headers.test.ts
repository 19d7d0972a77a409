/** What publish answers tell of limits: `RateLimit-Policy` and `RateLimit`, as they are after each charge. */
import { expect, test } from 'vitest';
import { startClusterOf } from '../helpers/cluster.ts';
import { UNLIMITED } from '../helpers/gateway.ts';
import { startGateway, type TestGateway, worker } from '../helpers/trade.ts';

const env = (limits: object) => ({ COURIER_LIMITS: JSON.stringify({ ...JSON.parse(UNLIMITED), ...limits }) });
/** A minute's limit is refilled once in 5 s: while a test runs, hardly. */
const LIMITS = { user: { publishPerSecond: 1000, publishPerMinute: 12 }, channels: { [worker.channel('full')]: { publishPerMinute: 2 } } };
const POLICY = '"publish";q=1000;w=1, "publish-minute";q=12;w=60';
const publisher = (gateway: TestGateway, sub = 'ada') => gateway.token(sub, 'user', { publish: [worker.all] });

function post(gateway: TestGateway, token: string, path: string, body: unknown, headers = {}): Promise<Response> {
  return fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

const told = ({ status, headers }: Response) => [status, headers.get('ratelimit-policy'), headers.get('ratelimit')];
/** What is left of the minute's limit. */
const left = (response: Response) => Number(/"publish-minute";r=(\d+)/.exec(response.headers.get('ratelimit') ?? '')?.[1]);

test('a publish over plain HTTP tells what is left, whether it is stored or refused after it was charged', async () => {
  await using gateway = await startGateway(env(LIMITS));
  const token = await publisher(gateway);
  expect(told(await post(gateway, token, '/publish', worker.note()))).toEqual([
    201,
    POLICY,
    '"publish";r=999;t=1, "publish-minute";r=11;t=5',
  ]);
  expect(told(await post(gateway, token, '/publish', { ...worker.note(), data: {} }))).toEqual([
    400,
    POLICY,
    expect.stringMatching(/^"publish";r=99\d;t=1, "publish-minute";r=10;t=\d+$/),
  ]);
  expect(told(await post(gateway, token, '/publish', { ...worker.note(), channel: 'global.x' }))[1]).toBe(POLICY);
  expect(told(await post(gateway, 'nonsense', '/publish', worker.note()))).toEqual([401, null, null]);
  expect(told(await fetch(`${gateway.url}/stats`, { headers: { authorization: `Bearer ${token}` } }))).toEqual([403, null, null]);
});

test('a refused publish tells of nothing left, and a page may read that', async () => {
  await using gateway = await startGateway(env({ user: { publishPerSecond: null, publishPerMinute: 1 } }));
  const token = await publisher(gateway);
  const origin = new URL(gateway.url).origin;
  await post(gateway, token, '/publish', worker.note());
  const refused = await post(gateway, token, '/publish', worker.note(), { origin });
  expect(told(refused)).toEqual([429, '"publish-minute";q=1;w=60', '"publish-minute";r=0;t=60']);
  const exposed = refused.headers.get('access-control-expose-headers')?.split(', ');
  expect(exposed).toEqual(expect.arrayContaining(['ratelimit', 'ratelimit-policy', 'retry-after']));
});

test('a channel with a limit is told of beside its publisher, who is given back what the channel refuses', async () => {
  await using gateway = await startGateway(env(LIMITS));
  const token = await publisher(gateway);
  const publish = () => post(gateway, token, `/publish/${worker.channel('full')}`, worker.note('k', 'full'));
  const policy = `${POLICY}, "channel-minute";q=2;w=60`;
  const first = await publish();
  expect(told(first)).toEqual([201, policy, '"publish";r=999;t=1, "publish-minute";r=11;t=5, "channel-minute";r=1;t=30']);
  const [second, third] = [await publish(), await publish()];
  expect([second.status, left(second), third.status, left(third)]).toEqual([201, 10, 429, 10]);
  expect(third.headers.get('ratelimit')).toMatch(/"channel-minute";r=0;t=60$/);
});

test('a publish by tRPC over HTTP tells the same, a batch of calls what is left after all of them', async () => {
  await using gateway = await startGateway(env(LIMITS));
  const token = await publisher(gateway);
  const one = await post(gateway, token, '/trpc/events.publish', { json: worker.note() });
  expect(told(one)).toEqual([200, POLICY, '"publish";r=999;t=1, "publish-minute";r=11;t=5']);
  const many = await post(gateway, token, '/trpc/events.publishBatch', { json: Array(5).fill(worker.note()) });
  expect([many.status, left(many)]).toEqual([200, 6]);
  const each = await post(gateway, await publisher(gateway, 'eve'), '/trpc/events.publishEach', {
    json: Array(3).fill(worker.note('k', 'full')),
  });
  // What the channel refused is given back.
  expect([each.status, left(each), each.headers.get('ratelimit')]).toEqual([200, 10, expect.stringMatching(/"channel-minute";r=0;t=60$/)]);
  const calls = await post(gateway, token, '/trpc/events.publish,events.publish?batch=1', {
    0: { json: worker.note() },
    1: { json: { ...worker.note(), data: {} } },
  });
  expect([calls.status, left(calls)]).toEqual([207, 4]);
  const streamed = await post(
    gateway,
    token,
    '/trpc/events.publish?batch=1',
    { 0: { json: worker.note() } },
    { 'trpc-accept': 'application/jsonl' },
  );
  expect([streamed.status, streamed.headers.get('ratelimit')]).toEqual([200, null]);
  const query = await fetch(`${gateway.url}/trpc/auth.whoami`, { headers: { authorization: `Bearer ${token}` } });
  expect(told(query)).toEqual([200, null, null]);
});

test('without a limit there is nothing to tell', async () => {
  await using gateway = await startGateway();
  const token = await publisher(gateway);
  expect(told(await post(gateway, token, '/publish', worker.note()))).toEqual([201, null, null]);
  expect(told(await post(gateway, token, '/trpc/events.publishEach', { json: [worker.note()] }))).toEqual([200, null, null]);
});

test('instances that count together tell what they have left together', async () => {
  await using cluster = await startClusterOf(startGateway, env(LIMITS));
  const [one, other] = cluster.gateways;
  const token = await publisher(one);
  const publish = (gateway: TestGateway, id = 'j') => post(gateway, token, '/publish', worker.note('k', id));
  expect(told(await publish(one))).toEqual([201, POLICY, '"publish";r=999;t=1, "publish-minute";r=11;t=5']);
  expect([left(await publish(other)), left(await publish(one)), left(await publish(other))]).toEqual([10, 9, 8]);
  const full = [await publish(one, 'full'), await publish(other, 'full'), await publish(one, 'full')];
  expect(full.map((response) => [response.status, left(response)])).toEqual([
    [201, 7],
    [201, 6],
    [429, 6],
  ]);
});
