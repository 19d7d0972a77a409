/** The examples of a deployment: nginx as configured there, in front of two gateways, and what the others set. */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type NginxServer, startNginx } from '../../scripts/servers.ts';
import { parseConfig } from '../../src/config.ts';
import { startCluster, type TestCluster } from '../helpers/cluster.ts';
import { collect } from '../helpers/collect.ts';
import { httpClient, webSocketClient } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';

const read = (name: string) => readFileSync(fileURLToPath(new URL(`../../scripts/deploy/${name}`, import.meta.url)), 'utf8');
const config = read('nginx.conf');
/** Where a client is, and where nginx is: both are this machine, which on Linux has all of 127.0.0.0/8. */
const CLIENT = '127.0.0.2';
const PROXY = '127.0.0.1';

interface Deployment extends AsyncDisposable {
  readonly gateways: TestCluster['gateways'];
  readonly nginx: NginxServer;
  /** Of the gateways, as clients are given it. */
  readonly url: string;
  /** What nginx has logged, of requests and of errors. */
  logged(): string;
}

async function deploy(): Promise<Deployment> {
  await using stack = new AsyncDisposableStack();
  // Clients are in a network that is trusted, as they may be where it is `private`.
  const env = { COURIER_BASE_PATH: '/courier', COURIER_TRUSTED_PROXIES: 'loopback' };
  const { gateways } = stack.use(await startCluster(env));
  const nginx = stack.use(
    await startNginx(({ port, folder }) =>
      [
        ['courier-1:8766', `${PROXY}:${gateways[0].port}`],
        ['courier-2:8766', `${PROXY}:${gateways[1].port}`],
        ['listen 8080;', `listen 127.0.0.1:${port};`],
        ['/var/log/nginx/access.log', `${folder}/access.log`],
        ['/var/log/nginx/error.log', `${folder}/error.log`],
      ].reduce((text, [there = '', here = '']) => {
        expect(text).toContain(there);
        return text.replace(there, here);
      }, config),
    ),
  );
  const resources = stack.move();
  return {
    gateways,
    nginx,
    url: `http://127.0.0.1:${nginx.port}/courier`,
    logged: () => ['access.log', 'error.log'].map((name) => readFileSync(`${nginx.folder}/${name}`, 'utf8')).join(''),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

const overWebSocket = (url: string) => url.replace('http', 'ws');
const job = (id: string) => ({ type: 'forge.job.started', channel: `forge.job.${id}`, data: { job_id: id, kind: 'k' } }) as const;
type Item = { id: string; data: { type: string } };

/** The status of what is at `path`, which is sent as it is. */
async function statusOf({ nginx }: Deployment, path: string): Promise<number | undefined> {
  const req = request({ host: '127.0.0.1', port: nginx.port, path, agent: false }).end();
  return new Promise((resolve, reject) => {
    req.on('error', reject).on('response', (res) => {
      res.resume();
      resolve(res.statusCode);
    });
  });
}

describe('nginx', () => {
  test('passes on WebSockets, streams and requests, each event as it comes', async () => {
    await using deployment = await deploy();
    const { url } = deployment;
    const token = await deployment.gateways[0].token('root', 'admin');
    await using client = webSocketClient(url, token);
    using overSocket = collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels: ['forge.**'] }, observer));
    using overStream = collect<Item>((observer) => httpClient(url, token).events.subscribe.subscribe({ channels: ['forge.**'] }, observer));
    await using plain = await openSocket(`${overWebSocket(url)}/ws/forge.**?token=${token}`);
    await Promise.all([overSocket.count(1), overStream.count(1), plain.count(1)]);
    const { id } = await httpClient(url, token).events.publish.mutate(job('j1'));
    const isLast = (items: readonly Item[]) => items.at(-1)?.id === id;
    await Promise.all([overSocket.until(isLast), overStream.until(isLast), plain.count(2)]);
    expect(JSON.parse(plain.messages[1] as string)).toMatchObject({ id });
    // A body that nginx has to keep in a file for a moment.
    const data = { strategy_id: 's', parameters: { text: 'x'.repeat(90_000) } };
    const large = { type: 'strategy.generation.started', channel: 'strategy.s', data };
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const answer = await fetch(`${url}/publish`, { method: 'POST', headers, body: JSON.stringify(large) });
    expect([answer.status, answer.headers.get('x-request-id')]).toEqual([201, expect.stringMatching(/^[0-9a-f]{32}$/)]);
  });

  test.runIf(process.platform === 'linux')('tells the address of the client, whatever the client says of itself', async () => {
    await using deployment = await deploy();
    const token = await deployment.gateways[0].token('root', 'admin');
    const said = { 'x-forwarded-for': '198.51.100.1', forwarded: 'for=198.51.100.1' };
    const address = `${overWebSocket(deployment.url)}/ws/global?token=${token}`;
    await using socket = await openSocket(address, { headers: said, localAddress: CLIENT });
    await socket.count(1);
    const { connections } = await httpClient(deployment.url, token).admin.connections.query();
    expect(connections.map((connection) => connection.address)).toEqual([CLIENT]);
  });

  test('logs no token, whatever becomes of the request', async () => {
    await using deployment = await deploy();
    const token = await deployment.gateways[0].token('root', 'admin');
    {
      await using socket = await openSocket(`${overWebSocket(deployment.url)}/ws/global?token=${token}`);
      await socket.count(1);
    }
    await using refused = await openSocket(`${overWebSocket(deployment.url)}/ws/global?token=${token}x`);
    await refused.closed;
    for (const path of ['/courier/nowhere', '/courier/metrics', '/elsewhere', '/courier/../courier/livez']) {
      await statusOf(deployment, `${path}?token=${token}`);
    }
    for (const gateway of deployment.gateways) await gateway[Symbol.asyncDispose]();
    // Now nothing answers, which nginx has something to say about.
    expect(await statusOf(deployment, `/courier/livez?token=${token}`)).toBe(502);
    await expect.poll(deployment.logged).toMatch(/"GET \/courier\/livez HTTP\/1.1" 502 /);
    expect(deployment.logged().match(/"GET \/courier\/ws\/global HTTP\/1.1" 101 /g)).toHaveLength(2);
    expect(deployment.logged()).not.toMatch(/token|eyJ/);
  });

  test('lets nothing through but what is below the path, and keeps figures from strangers', async () => {
    await using deployment = await deploy();
    const paths = [
      '/courier/livez',
      '/livez',
      '/courierx/livez',
      '/',
      '/courier/metrics',
      '/courier/%6detrics',
      '/courier//metrics',
      '/courier/x/../metrics',
    ];
    const statuses = await Promise.all(paths.map((path) => statusOf(deployment, path)));
    expect(statuses).toEqual([200, 404, 404, 404, 404, 404, 404, 404]);
    // What nginx takes for the path of a gateway, that one takes to the letter.
    expect(await statusOf(deployment, '/courier//livez')).toBe(400);
    expect(await statusOf(deployment, '/%63ourier/livez')).toBe(404);
  });

  test('goes on with one gateway when the other has gone', async () => {
    await using deployment = await deploy();
    await deployment.gateways[0][Symbol.asyncDispose]();
    for (let request = 0; request < 4; request += 1) expect(await statusOf(deployment, '/courier/livez')).toBe(200);
  });

  test('waits longer for a quiet connection than the gateway does, and holds back no stream', () => {
    const [, seconds] = /proxy_read_timeout (\d+)s;/.exec(config) ?? [];
    // Pinged after 30 s, ended 30 s later.
    expect(Number(seconds)).toBeGreaterThan(60);
    // Answers that ask for it themselves would pass without.
    expect(config).toContain('proxy_buffering off;');
  });
});

test('what the other examples set is a configuration, and the same path', () => {
  const [, basePath] = /^ {4}COURIER_BASE_PATH: (\S+)$/m.exec(read('compose.yaml')) ?? [];
  const [, compose] = /^ {4}COURIER_TRUSTED_PROXIES: (\S+)$/m.exec(read('compose.yaml')) ?? [];
  const kubernetes = Object.fromEntries(
    [...read('kubernetes.yaml').matchAll(/\{ name: (COURIER_\w+), value: '?([^' ]+)'? \}/g)].map(([, name, value]) => [name, value]),
  );
  expect(basePath).toBe('/courier');
  expect(parseConfig({ COURIER_BASE_PATH: basePath, COURIER_TRUSTED_PROXIES: compose }).trustedProxies).not.toEqual([]);
  expect(parseConfig(kubernetes)).toMatchObject({ basePath, drainMs: 30_000, trustedProxies: [expect.anything()] });
  const probed = [...read('kubernetes.yaml').matchAll(/path: (\S+?),? /g)].map(([, path]) => path);
  expect(probed).toEqual(['/courier/metrics', '/courier/livez', '/courier/livez', '/courier/readyz']);
});
