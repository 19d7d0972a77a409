/** Whose address counts: never what somebody says whom nobody vouches for. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config.ts';
import { clientAddress } from '../../src/connections/client-address.ts';

const PROXIES = '10.0.0.0/8, 192.0.2.7,2001:db8:ffff::/48';

interface Sent {
  readonly peer?: string | undefined;
  readonly list?: string;
  readonly forwarded?: string;
  readonly trusted?: string;
}

function addressOf({ peer, list, forwarded, trusted = PROXIES }: Sent): string {
  const headers = { ...(list !== undefined && { 'x-forwarded-for': list }), ...(forwarded !== undefined && { forwarded }) };
  const { trustedProxies } = parseConfig({ COURIER_TRUSTED_PROXIES: trusted });
  return clientAddress(trustedProxies)({ headers, socket: { remoteAddress: peer } } as IncomingMessage);
}

describe('the peer counts', () => {
  test.each<[string, Sent, string]>([
    ['without proxies', { peer: '203.0.113.9' }, '203.0.113.9'],
    ['when nobody is trusted', { peer: '203.0.113.9', list: '198.51.100.1', trusted: '' }, '203.0.113.9'],
    ['when it is no proxy, whatever it says', { peer: '203.0.113.9', list: '198.51.100.1', forwarded: 'for=198.51.100.1' }, '203.0.113.9'],
    ['when it is a proxy that says nothing', { peer: '10.0.0.1' }, '10.0.0.1'],
    ['in canonical form', { peer: '2001:DB8:0:0:1:0:0:1' }, '2001:db8::1:0:0:1'],
    ['without its zone', { peer: 'fe80::1%eth0' }, 'fe80::1'],
    ['as IPv4 where it is', { peer: '::ffff:203.0.113.9' }, '203.0.113.9'],
    ['as unknown when it has gone', { peer: undefined, list: '198.51.100.1' }, 'unknown'],
  ])('%s', (_name, sent, address) => expect(addressOf(sent)).toBe(address));
});

describe('behind a trusted proxy the address that it names counts', () => {
  test.each<[string, Sent, string]>([
    ['alone', { list: '198.51.100.1' }, '198.51.100.1'],
    ['of a proxy on a mapped address', { peer: '::ffff:10.0.0.1', list: '198.51.100.1' }, '198.51.100.1'],
    ['of an IPv6 proxy', { peer: '2001:db8:ffff::1', list: '2001:db8:1::1' }, '2001:db8:1::1'],
    ['and not what the client had sent to it', { list: '192.0.2.66, 198.51.100.1' }, '198.51.100.1'],
    ['over several proxies', { list: '192.0.2.66, 198.51.100.1, 192.0.2.7, 10.1.2.3' }, '198.51.100.1'],
    ['the furthest when all are proxies', { list: '10.3.3.3, 10.2.2.2' }, '10.3.3.3'],
    ['with a port', { list: '198.51.100.1:50000' }, '198.51.100.1'],
    ['with a port and brackets', { list: '[2001:db8:1::1]:50000' }, '2001:db8:1::1'],
    ['in brackets', { list: '[2001:db8:1::1]' }, '2001:db8:1::1'],
    ['in canonical form', { list: '2001:0DB8:1::0001%eth0' }, '2001:db8:1::1'],
    ['as IPv4 where it is', { list: '::ffff:198.51.100.1' }, '198.51.100.1'],
    ['a mapped proxy is one too', { list: '198.51.100.1, ::ffff:10.0.0.2' }, '198.51.100.1'],
    ['in Forwarded', { forwarded: 'for=192.0.2.66;proto=http, For=198.51.100.1;by=10.0.0.1' }, '198.51.100.1'],
    ['in Forwarded, quoted', { forwarded: 'for="[2001:db8:1::1]:4711"' }, '2001:db8:1::1'],
    ['in Forwarded, with an invented port', { forwarded: 'for="198.51.100.1:_gazonk"' }, '198.51.100.1'],
    ['in both alike', { list: '198.51.100.1', forwarded: 'for="198.51.100.1:443"' }, '198.51.100.1'],
  ])('%s', (_name, sent, address) => expect(addressOf({ peer: '10.0.0.1', ...sent })).toBe(address));
});

describe('what cannot be relied on ends the way at the last trusted hop', () => {
  test.each<[string, Sent, string]>([
    ['headers that differ', { list: '198.51.100.1', forwarded: 'for=192.0.2.66' }, '10.0.0.1'],
    ['headers that differ the other way', { list: '192.0.2.66', forwarded: 'for=198.51.100.1' }, '10.0.0.1'],
    ['one that is empty beside one that is not', { list: '', forwarded: 'for=192.0.2.66' }, '10.0.0.1'],
    ['an empty one', { list: '' }, '10.0.0.1'],
    ['unknown', { forwarded: 'for=unknown' }, '10.0.0.1'],
    ['unknown behind another proxy', { forwarded: 'for=unknown, for=10.2.2.2' }, '10.2.2.2'],
    ['an invented name', { forwarded: 'for=_hidden' }, '10.0.0.1'],
    ['nobody', { forwarded: 'for=192.0.2.66, proto=https' }, '10.0.0.1'],
    ['quotes that do not end', { forwarded: 'for="198.51.100.1, for=192.0.2.66' }, '10.0.0.1'],
    ['garbage', { list: '192.0.2.66, <script>, 10.2.2.2' }, '10.2.2.2'],
    ['numbers that other parsers take for addresses', { list: '0x7f000001, 3232235777, 010.0.0.1' }, '10.0.0.1'],
    ['an entry that is missing', { list: '192.0.2.66,, 10.2.2.2' }, '10.2.2.2'],
    ['a list that is too long', { list: `${'192.0.2.66, '.repeat(200)}198.51.100.1` }, '10.0.0.1'],
    ['a Forwarded that is too long', { forwarded: `${'for=192.0.2.66, '.repeat(200)}for=198.51.100.1` }, '10.0.0.1'],
  ])('%s', (_name, sent, address) => expect(addressOf({ peer: '10.0.0.1', ...sent })).toBe(address));
});

test('headers that come in several lines are one list, in their order', async () => {
  const read = clientAddress(parseConfig({ COURIER_TRUSTED_PROXIES: 'loopback' }).trustedProxies);
  const server = createServer((req, res) => res.end(read(req))).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const ask = async (headers: Record<string, string[]>) => {
    const req = request({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, agent: false, headers }).end();
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    return await text(res);
  };
  try {
    expect(await ask({ 'X-Forwarded-For': ['192.0.2.66', '198.51.100.1', '127.0.0.3'] })).toBe('198.51.100.1');
    expect(await ask({ Forwarded: ['for=192.0.2.66', 'for=198.51.100.1', 'for="127.0.0.3:80"'] })).toBe('198.51.100.1');
  } finally {
    server.close();
    await once(server, 'close');
  }
});

describe('trusted are', () => {
  test.each<[trusted: string, peer: string, isTrusted: boolean]>([
    ['loopback', '127.0.0.2', true],
    ['loopback', '::1', true],
    ['loopback', '128.0.0.1', false],
    ['private', '172.31.255.255', true],
    ['private', '172.32.0.1', false],
    ['private', 'fd12::1', true],
    ['private', '127.0.0.1', false],
    ['loopback,private', '192.168.1.1', true],
    ['203.0.113.9', '203.0.113.9', true],
    ['203.0.113.9', '203.0.113.8', false],
    ['203.0.113.77/24', '203.0.113.8', true],
    ['::ffff:203.0.113.0/120', '203.0.113.8', true],
    ['::ffff:203.0.113.9', '203.0.113.9', true],
    ['::/0', '203.0.113.9', false],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['0.0.0.0/0', '203.0.113.9', true],
  ])('(%s) %s: %s', (trusted, peer, isTrusted) => {
    expect(addressOf({ peer, list: '198.51.100.1', trusted })).toBe(isTrusted ? '198.51.100.1' : peer);
  });
});
