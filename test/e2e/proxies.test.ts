/** Behind a proxy: whose address counts, and below which path everything is. */
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import { startHttpProxy } from '../helpers/http-proxy.ts';
import { processToken } from '../helpers/process.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { httpClient, startGateway, startProcess } from '../helpers/trade.ts';

/** Puts the client's address, which a test says in `x-from`, behind what the client says itself, as proxies do. */
const appending = (given: Readonly<Record<string, string>>) => ({
  ...given,
  'x-forwarded-for': [given['x-forwarded-for'], given['x-from']].filter(Boolean).join(', '),
});
const overWebSocket = (url: string) => url.replace('http', 'ws');

describe('the address of a client behind a trusted proxy', () => {
  test('is what admins see, and what the log says of every connection', async () => {
    await using gateway = await startProcess({ COURIER_LOG: 'memory:', COURIER_TRUSTED_PROXIES: 'loopback', COURIER_LOG_LEVEL: 'info' });
    await using proxy = await startHttpProxy(gateway.url, { headers: appending });
    const connected: string[] = [];
    const { promise: logged, resolve } = Promise.withResolvers<void>();
    createInterface({ input: gateway.child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const { message, context } = JSON.parse(line) as { message: string; context?: { address: string; transport: string } };
      if (message === 'connected') connected.push(`${context?.transport} ${context?.address}`);
      if (connected.length === 2) resolve();
    });
    const token = await processToken('root', 'admin');
    const headers = { 'x-from': '198.51.100.1', 'x-forwarded-for': '192.0.2.66', authorization: `Bearer ${token}` };
    await using plain = await openSocket(`${overWebSocket(proxy.url)}/ws/global`, { headers });
    await plain.count(1);
    await using trpc = await openSocket(`${overWebSocket(proxy.url)}/trpc`, { headers: { ...headers, 'x-from': '2001:DB8::0:1' } });
    trpc.send({ id: 1, method: 'query', params: { path: 'auth.whoami' } });
    await trpc.count(1);
    const { connections } = await httpClient(gateway.url, token).admin.connections.query();
    expect(connections.map(({ address, transport }) => `${transport} ${address}`)).toEqual(['plain 198.51.100.1', 'trpc 2001:db8::1']);
    await logged;
    expect(connected).toEqual(['plain 198.51.100.1', 'trpc 2001:db8::1']);
  });

  test.each([
    ['loopback', 'each client', [401, 429, 401, 429]],
    ['10.0.0.0/8', 'the proxy, which is not trusted', [401, 429, 429, 429]],
  ])('(%s) is what wrong tokens are counted by: those of %s', async (trusted, _whose, statuses) => {
    const limits = JSON.stringify({ gateway: { failedAuthenticationsPerMinute: 1 } });
    await using gateway = await startGateway({ COURIER_LIMITS: limits, COURIER_TRUSTED_PROXIES: trusted });
    await using proxy = await startHttpProxy(gateway.url, { headers: appending });
    let asked = 0;
    const ask = async (path: string, from: string) => {
      asked += 1;
      const headers = { 'x-from': from, 'x-forwarded-for': `192.0.2.${asked}`, authorization: 'Bearer nonsense' };
      return (await fetch(proxy.url + path, { headers })).status;
    };
    expect([
      await ask('/stats', '198.51.100.1'),
      await ask('/trpc/auth.whoami', '198.51.100.1'),
      await ask('/trpc/auth.whoami', '198.51.100.2'),
      await ask('/stats', '198.51.100.2'),
    ]).toEqual(statuses);
  });

  test('is what connections that have not authenticated are counted by', async () => {
    const limits = JSON.stringify({ gateway: { unauthenticatedPerAddress: 1 } });
    await using gateway = await startGateway({ COURIER_LIMITS: limits, COURIER_TRUSTED_PROXIES: '127.0.0.1' });
    await using proxy = await startHttpProxy(gateway.url, { headers: appending });
    const open = (from: string) => openSocket(`${overWebSocket(proxy.url)}/trpc?connectionParams=1`, { headers: { 'x-from': from } });
    await using _first = await open('198.51.100.1');
    await expect(open('198.51.100.1')).rejects.toThrow('429');
    await using _other = await open('198.51.100.2');
    // Whoever has one address of IPv6 has a network of them.
    await using _six = await open('2001:db8:0:1::1');
    await expect(open('2001:db8:0:1:ffff::2')).rejects.toThrow('429');
    await using _neighbour = await open('2001:db8:0:2::1');
  });
});
