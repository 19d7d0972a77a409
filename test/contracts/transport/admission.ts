/** Who is let in, and what somebody who is not costs. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { MAX_STRANGER_BYTES, watchAccepted } from '../../helpers/accepted.ts';
import { startGateway } from '../../helpers/gateway.ts';
import { Peer, textFrame } from '../../helpers/peer.ts';
import { BAD_TOKENS } from '../../helpers/tokens.ts';
import { type TransportDriver, UPGRADE } from '../../helpers/transports.ts';

const PER_ADDRESS = 100;

export function describeAdmission({ subscribe, isWebSocket, path, headers }: TransportDriver): void {
  describe('admission', () => {
    test.each(BAD_TOKENS)('a token that is not valid (%s) is refused, and its connection closed', async (_name, tokenOf) => {
      await using gateway = await startGateway();
      await using peer = subscribe(gateway.port, { token: await tokenOf() });
      expect(await peer.ended()).toMatchObject({ code: 1008, reason: expect.stringMatching(/token/) });
      expect(peer.status).toBe(isWebSocket ? 101 : 401);
      expect(peer.events).toEqual([]);
    });

    test('an address that could be read in two ways is refused', async () => {
      await using gateway = await startGateway();
      const token = await gateway.token('ada');
      for (const odd of [`/${path}`, `/x/..${path}`, `/.${path}`, `/%2e${path}`]) {
        await using peer = new Peer({
          port: gateway.port,
          target: `${odd}global?token=${token}`,
          headers: headers,
          read: () => ({}),
        });
        await peer.gone;
        expect([odd, peer.status]).toEqual([odd, 400]);
      }
    });

    test('a page of another origin cannot use it', async () => {
      await using gateway = await startGateway({ COURIER_ALLOWED_ORIGINS: 'https://app.example.org' });
      const ask = { token: await gateway.token('ada'), channels: 'global' };
      await using allowed = subscribe(gateway.port, { ...ask, headers: { origin: 'https://app.example.org' } });
      await allowed.live();
      await using other = subscribe(gateway.port, { ...ask, headers: { origin: 'https://evil.example' } });
      await other.until(({ status }) => status !== undefined);
      if (isWebSocket) expect(other.status).toBe(403);
      else
        expect([allowed.head, other.head].map((head) => /access-control-allow-origin: \S*/i.exec(head)?.[0])).toEqual([
          'access-control-allow-origin: https://app.example.org',
          undefined,
        ]);
    });

    test('strangers of its address do not keep a client out that shows its token', async () => {
      await using gateway = await startGateway({ COURIER_LIMITS: JSON.stringify({ gateway: { unauthenticatedPerAddress: PER_ADDRESS } }) });
      await using strangers = new AsyncDisposableStack();
      const arrive = () => strangers.use(silentStranger(gateway.port));
      const waiting = Array.from({ length: PER_ADDRESS }, arrive);
      await Promise.all(waiting.map((peer) => peer.until(({ status }) => status === 101)));
      const tooMany = arrive();
      await tooMany.until(({ status }) => status !== undefined);
      expect(tooMany.status).toBe(429);
      const token = await gateway.token('ada');
      await using known = subscribe(gateway.port, { channels: 'global', token, headers: { authorization: `Bearer ${token}` } });
      await known.live();
    });

    test('clients with tokens that come all at once from one address are let in, all of them', async () => {
      const limits = { gateway: { unauthenticatedPerAddress: PER_ADDRESS }, service: { connections: null, subscribePerSecond: null } };
      await using gateway = await startGateway({ COURIER_LIMITS: JSON.stringify(limits) });
      const token = await gateway.token('forge', 'service');
      await using clients = new AsyncDisposableStack();
      const headers = { authorization: `Bearer ${token}` };
      const herd = Array.from({ length: 8 * PER_ADDRESS }, () =>
        clients.use(subscribe(gateway.port, { channels: 'global', token, headers })),
      );
      await Promise.all(herd.map((client) => client.live()));
    });

    test('a client whose token takes too long to check is gone at the deadline, and its place with it', async () => {
      await using keys = await startSilentServer();
      const env = { COURIER_JWT_SECRET: '', COURIER_JWKS_URL: keys.url };
      await using gateway = await startGateway(env, {}, { timings: { openingMs: 100 } });
      // Signed with a secret: whether it is valid could be known only from the keys.
      await using peer = subscribe(gateway.port, { token: ES256_TOKEN });
      await keys.asked;
      await peer.gone;
      await expect.poll(() => gateway.census).toMatchObject({ connections: { trpc: 0, plain: 0, sse: 0 }, unauthenticated: 0 });
      expect(peer.events).toEqual([]);
      await keys[Symbol.asyncDispose]();
      // What comes of the check is known here when it is known of another that began later.
      await fetch(`${gateway.url}/stats`, { headers: { authorization: `Bearer ${ES256_TOKEN}` } });
      expect(gateway.census).toMatchObject({ connections: { trpc: 0, plain: 0, sse: 0 }, unauthenticated: 0 });
    });

    test('a client that goes while its token is checked leaves nothing behind', async () => {
      await using keys = await startSilentServer();
      await using gateway = await startGateway({ COURIER_JWT_SECRET: '', COURIER_JWKS_URL: keys.url });
      await using peer = subscribe(gateway.port, { token: ES256_TOKEN });
      await keys.asked;
      await peer[Symbol.asyncDispose]();
      await keys[Symbol.asyncDispose]();
      await expect
        .poll(() => gateway.census, { timeout: 3000 })
        .toMatchObject({ unauthenticated: 0, connections: { trpc: 0, plain: 0, sse: 0 } });
    });

    test('what is sent before it is known who speaks is hardly read', async () => {
      using accepted = watchAccepted();
      await using keys = await startSilentServer();
      await using gateway = await startGateway({ COURIER_JWT_SECRET: '', COURIER_JWKS_URL: keys.url });
      await using peer = subscribe(gateway.port, { token: ES256_TOKEN });
      await keys.asked;
      const end = accepted.of(peer.socket);
      for (let sent = 0; sent < 1e6; sent += 1e5) peer.write(textFrame('x'.repeat(1e5)));
      // A turn of everything: whatever would be read is.
      for (let turn = 0; turn < 20; turn += 1) await fetch(`${gateway.url}/livez`);
      expect(end?.bytesRead).toBeLessThanOrEqual(MAX_STRANGER_BYTES);
    });
  });
}

/** Of a key that there is not, as far as anybody knows. */
const ES256_TOKEN = ['{"alg":"ES256","kid":"k"}', '{"sub":"ada"}', 'x'.repeat(64)]
  .map((part) => Buffer.from(part).toString('base64url'))
  .join('.');

/** One that has come, and says nothing. */
function silentStranger(port: number): Peer {
  return new Peer({ port, target: '/trpc?connectionParams=1', headers: UPGRADE, read: () => ({}) });
}

/** An HTTP server that never answers. */
async function startSilentServer() {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const server = createServer(() => resolve()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
}
