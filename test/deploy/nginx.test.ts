/** The example of a deployment behind nginx: its file as it is but for addresses, with TLS, in front of two gateways. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { EventSource } from 'eventsource';
import { generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CourierClient } from '../../client/src/index.ts';
import { type NginxServer, startNginx } from '../../scripts/servers.ts';
import type { Timings } from '../../src/connections/timings.ts';
import { openDashboard, seen } from '../dashboard/stage.ts';
import { launchChromium } from '../helpers/chromium.ts';
import { sharedEnv, startClusterOf, type TestCluster } from '../helpers/cluster.ts';
import { collect } from '../helpers/collect.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { httpClient, startGateway, type TestGateway, webSocketClient } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';

const config = readFileSync(fileURLToPath(new URL('../../scripts/deploy/nginx.conf', import.meta.url)), 'utf8');
/** Where a client is, and where nginx is: both are this machine, which on Linux has all of 127.0.0.0/8. */
const CLIENT = '127.0.0.2';
const PROXY = '127.0.0.1';

/** Clients trust this certificate, and no other that nginx could show. */
const tls = temporaryFolder();
const trusted = getCACertificates('default');
beforeAll(() => {
  const about = ['-subj', '/CN=courier', '-addext', `subjectAltName=IP:${PROXY}`, '-days', '1'];
  const files = ['-keyout', tls.file('courier.key'), '-out', tls.file('courier.crt')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', ...about, ...files], {
    stdio: 'ignore',
  });
  setDefaultCACertificates([...trusted, readFileSync(tls.file('courier.crt'), 'utf8')]);
});
afterAll(() => {
  setDefaultCACertificates(trusted);
  tls[Symbol.dispose]();
});

interface Proxy extends AsyncDisposable {
  readonly nginx: NginxServer;
  /** Of the gateways, as clients are given it. */
  readonly url: string;
  /** What nginx has logged, of requests and of errors. */
  logged(): string;
}

interface Deployment extends Proxy {
  readonly gateways: TestCluster['gateways'];
}

/** Of the gateways, which know that clients are in a network that is trusted, as they may be where it is `private`. */
const GATEWAYS = { COURIER_BASE_PATH: '/courier', COURIER_TRUSTED_PROXIES: 'loopback' };

/** @param times what is replaced in the file beside addresses, for tests of what happens after a time. */
async function startProxy(
  ports: readonly [number, number],
  times: readonly (readonly [there: string, here: string])[] = [],
): Promise<Proxy> {
  const nginx = await startNginx(({ port, folder }) =>
    [
      ['courier-1:8766', `${PROXY}:${ports[0]}`],
      ['courier-2:8766', `${PROXY}:${ports[1]}`],
      ['listen 8443 ', `listen ${PROXY}:${port} `],
      ['/etc/nginx/tls/courier.crt', tls.file('courier.crt')],
      ['/etc/nginx/tls/courier.key', tls.file('courier.key')],
      ['/var/log/nginx/access.log', `${folder}/access.log`],
      ['/var/log/nginx/error.log', `${folder}/error.log`],
      ...times,
    ].reduce((text, [there = '', here = '']) => {
      expect(text).toContain(there);
      return text.replace(there, here);
    }, config),
  );
  return {
    nginx,
    url: `https://${PROXY}:${nginx.port}/courier`,
    logged: () => ['access.log', 'error.log'].map((name) => readFileSync(`${nginx.folder}/${name}`, 'utf8')).join(''),
    [Symbol.asyncDispose]: () => nginx[Symbol.asyncDispose](),
  };
}

async function deploy(times: Parameters<typeof startProxy>[1] = [], timings: Partial<Timings> = {}): Promise<Deployment> {
  await using stack = new AsyncDisposableStack();
  const { gateways } = stack.use(await startClusterOf((env) => startGateway(env, {}, { timings }), GATEWAYS));
  const proxy = stack.use(await startProxy([gateways[0].port, gateways[1].port], times));
  const resources = stack.move();
  return { ...proxy, gateways, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

const overWebSocket = (url: string) => url.replace('http', 'ws');
const job = (id: string) => ({ type: 'forge.job.started', channel: `forge.job.${id}`, data: { job_id: id, kind: 'k' } }) as const;
const large = (length: number) =>
  ({
    type: 'strategy.generation.started',
    channel: 'strategy.s',
    data: { strategy_id: 's', parameters: { text: 'x'.repeat(length) } },
  }) as const;
type Item = { id: string; data: { type: string } };

/** The status of what is at `path`, which is sent as it is. */
async function statusOf({ nginx }: Proxy, path: string): Promise<number | undefined> {
  const req = request({ host: PROXY, port: nginx.port, path, agent: false }).end();
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
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const answer = await fetch(`${url}/publish`, { method: 'POST', headers, body: JSON.stringify(large(90_000)) });
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
    for (const address of [
      `/sse/global?token=${token}`,
      `/trpc/events.subscribe?${new URLSearchParams({ connectionParams: `{"token":"${token}"}` })}`,
    ]) {
      await (await fetch(deployment.url + address)).body?.cancel();
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
    expect(deployment.logged()).toMatch(/"GET \/courier\/sse\/global HTTP\/1.1" 200 /);
    expect(deployment.logged()).not.toMatch(/token|eyJ/i);
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

  test('passes on what is as large as a gateway takes, and lets that one refuse more', async () => {
    await using deployment = await deploy();
    const { url } = deployment;
    const token = await deployment.gateways[0].token('prophet', 'service');
    await using reader = new CourierClient({ url, token: await deployment.gateways[0].token('root', 'admin') });
    await using publisher = new CourierClient({ url, token });
    const received = Promise.withResolvers<void>();
    const lengths: number[] = [];
    const count = (event: { readonly data: unknown }) => {
      lengths.push(JSON.stringify(event.data).length);
      if (lengths.length === 20) received.resolve();
    };
    reader.subscribe('strategy.s', count, { from: 'earliest', onError: received.reject });
    const { channel, type, data } = large(90_000);
    await Promise.all(Array.from({ length: 20 }, () => publisher.publish(channel, type, data)));
    await received.promise;
    expect(Math.min(...lengths)).toBeGreaterThan(90_000);
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const refused = await fetch(`${url}/publish`, { method: 'POST', headers, body: JSON.stringify(large(140_000)) });
    expect([refused.status, await refused.json()]).toMatchObject([413, { code: 'PAYLOAD_TOO_LARGE' }]);
  });

  test('keeps quiet connections, as the gateway pings four times in that time', async () => {
    // 30 and 120 s, of which this is a hundredth.
    const times = ['read', 'send'].map((way) => [`proxy_${way}_timeout 120s;`, `proxy_${way}_timeout 1200ms;`] as const);
    await using deployment = await deploy(times, { lookMs: 25 });
    const { url } = deployment;
    const token = await deployment.gateways[0].token('root', 'admin');
    await using plain = await openSocket(`${overWebSocket(url)}/ws/forge.**?token=${token}`);
    await using trpc = await openSocket(`${overWebSocket(url)}/trpc?connectionParams=1`);
    trpc.send({ method: 'connectionParams', data: { token } });
    let errors = 0;
    const stream = new EventSource(`${url}/sse/forge.**?token=${token}`);
    stream.addEventListener('error', () => {
      errors += 1;
    });
    const heard = new Promise((resolve) => stream.addEventListener('forge.job.started', resolve));
    const pings = (socket: typeof plain) =>
      new Promise<void>((resolve) => {
        let count = 0;
        socket.ws.on('ping', () => {
          count += 1;
          if (count === 6) resolve();
        });
      });
    await Promise.all([pings(plain), pings(trpc)]);
    await httpClient(url, token).events.publish.mutate(job('j'));
    await Promise.all([plain.count(2), heard]);
    expect([errors, trpc.ws.readyState]).toEqual([0, trpc.ws.OPEN]);
    stream.close();
  });

  test('fails no request at the time when it closes a connection to a gateway', async () => {
    const edgeMs = 1000;
    await using deployment = await deploy([['keepalive_timeout 60s;', `keepalive_timeout ${edgeMs}ms;`]]);
    const token = await deployment.gateways[0].token('forge', 'service');
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const publish = async (id: string) =>
      (await fetch(`${deployment.url}/publish`, { method: 'POST', headers, body: JSON.stringify(job(id)) })).status;
    const statuses: number[] = [];
    // Each waits as long as its connection to the gateway is kept, give or take 20 ms.
    const publishers = Array.from({ length: 40 }, async (_, publisher) => {
      for (let round = 0; round < 2; round += 1) {
        statuses.push(await publish(`j${publisher}`));
        await wait(edgeMs - 20 + publisher);
      }
    });
    await Promise.all(publishers);
    expect(statuses).toEqual(Array.from({ length: 80 }, () => 201));
    // The gateway's own edge, that would be everybody's, is behind.
    const [, seconds] = /keepalive_timeout (\d+)s;/.exec(config) ?? [];
    const answer = await fetch(`${deployment.gateways[0].url}/livez`);
    const [, kept] = /timeout=(\d+)/.exec(answer.headers.get('keep-alive') ?? '') ?? [];
    expect(Number(kept)).toBeGreaterThanOrEqual(Number(seconds) + 10);
  });

  test('shows the dashboard, which signs in and is told of events', async () => {
    await using deployment = await deploy();
    await using browser = await launchChromium();
    const token = await deployment.gateways[0].token('root', 'admin');
    await using dashboard = await openDashboard(browser, deployment.url, { path: 'connections', ignoreHTTPSErrors: true });
    await dashboard.page.getByLabel('Token').fill(token);
    await dashboard.page.getByLabel('Token').press('Enter');
    await seen(dashboard.page.getByRole('heading', { name: 'Connections', level: 1 }));
    await seen(dashboard.page.getByText('Connected', { exact: true }));
    // Its own connection, as the gateway lists it.
    await seen(dashboard.page.getByText(PROXY));
    expect(dashboard).toMatchObject({ complaints: [], elsewhere: [] });
  });

  test('brings clients to the gateway that is there, while each is replaced', async () => {
    const env = { ...(await sharedEnv()), ...GATEWAYS, COURIER_DRAIN_SECONDS: '2' };
    await using first = await startGateway(env);
    await using second = await startGateway(env);
    await using proxy = await startProxy([first.port, second.port]);
    const retry = { minDelayMs: 50, maxDelayMs: 200 };
    await using reader = new CourierClient({ url: proxy.url, token: await first.token('root', 'admin'), retry });
    await using publisher = new CourierClient({ url: proxy.url, token: await first.token('forge', 'service'), retry });
    const received: string[] = [];
    const waiting = new Map<string, () => void>();
    const hear = ({ channel }: { readonly channel: string }) => {
      received.push(channel);
      waiting.get(channel)?.();
    };
    reader.subscribe('forge.**', hear, { from: 'earliest' });
    const published: string[] = [];
    const passOn = async (id: string) => {
      const { channel, type, data } = job(id);
      const arrived = new Promise<void>((resolve) => waiting.set(channel, resolve));
      await publisher.publish(channel, type, data);
      published.push(channel);
      await arrived;
    };
    /** Publishes until it is replaced, and once more. */
    const during = async (replaced: Promise<TestGateway>, name: string) => {
      let isReplaced = false;
      void replaced.finally(() => {
        isReplaced = true;
      });
      for (let number = 0; !isReplaced; number += 1) await passOn(`${name}-${number}`);
      await passOn(`${name}-last`);
      return replaced;
    };
    const replace = async (gateway: TestGateway) => {
      await gateway[Symbol.asyncDispose]();
      return startGateway({ ...env, COURIER_PORT: String(gateway.port) });
    };
    await passOn('before');
    await using _third = await during(replace(first), 'first');
    await using _fourth = await during(replace(second), 'second');
    expect(received).toEqual(published);
  });

  test('takes no gateway for gone that answers a stranger with 503', async () => {
    // Nobody has the keys, so each token is one that cannot be checked.
    const jwks = { COURIER_JWKS_URL: 'http://127.0.0.1:1/jwks.json', COURIER_JWT_SECRET: '' };
    await using cluster = await startClusterOf(startGateway, { ...GATEWAYS, ...jwks });
    await using proxy = await startProxy([cluster.gateways[0].port, cluster.gateways[1].port]);
    const { privateKey } = await generateKeyPair('ES256');
    const token = await new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', kid: 'x' })
      .setSubject('ada')
      .setAudience('courier')
      .setExpirationTime('1h')
      .sign(privateKey);
    const headers = { authorization: `Bearer ${token}` };
    for (let request = 0; request < 2; request += 1) expect((await fetch(`${proxy.url}/stats`, { headers })).status).toBe(503);
    for (let request = 0; request < 2; request += 1) expect(await statusOf(proxy, '/courier/livez')).toBe(200);
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
