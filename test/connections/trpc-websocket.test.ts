/** tRPC over WebSocket: what every transport guarantees, and what only this one can be asked, since it is written to. */
import { describe, expect, test } from 'vitest';
import { stored } from '../contracts/transport/publishing.ts';
import { describeTransport } from '../contracts/transport.ts';
import { MAX_STRANGER_BYTES, watchAccepted } from '../helpers/accepted.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { Peer, textFrame } from '../helpers/peer.ts';
import { jobStarted } from '../helpers/samples.ts';
import { trpcWebSocket, UPGRADE } from '../helpers/transports.ts';

describeTransport(trpcWebSocket);

const JOB = jobStarted('k'.repeat(40));

const call = (id: number, method: string, path: string, input: unknown = { json: null }) => ({ id, method, params: { path, input } });
const publishing = (id: number) => call(id, 'mutation', 'events.publish', { json: JOB });
const params = (token: string) => textFrame({ method: 'connectionParams', data: { token } });
/** A client that has said that it will send its parameters, and sends this. */
const arrive = ({ port }: TestGateway, ...behind: Buffer[]) =>
  new Peer({ port, target: '/trpc?connectionParams=1', headers: UPGRADE, behind, read: () => ({}) });

interface Answer {
  readonly id: number | null;
  readonly result?: { readonly data: { readonly json: unknown } };
  readonly error?: { readonly json: { readonly message: string; readonly data: { readonly code: string } } };
}
const answersOf = ({ texts }: Peer) => texts.map((text) => JSON.parse(text) as Answer);
const codesOf = (peer: Peer) => answersOf(peer).map(({ id, error }) => [id, error?.json.data.code ?? 'answered']);

describe('a client that has not signed in', () => {
  test('and never does is gone at the deadline', async () => {
    await using gateway = await startGateway({}, {}, { timings: { openingMs: 100 } });
    await using peer = arrive(gateway);
    expect(await peer.ended()).toEqual({ code: 4408, reason: 'no authentication in time' });
    await expect.poll(() => gateway.census).toMatchObject({ connections: { trpc: 0 }, unauthenticated: 0 });
  });

  test('is not read beyond its parameters', async () => {
    using accepted = watchAccepted();
    await using gateway = await startGateway();
    await using peer = arrive(gateway);
    await peer.until(({ status }) => status === 101);
    const end = accepted.of(peer.socket);
    for (let sent = 0; sent < 1e6; sent += 1e5) peer.write(textFrame('x'.repeat(1e5)));
    await peer.gone;
    expect(peer.goodbye?.code).toBe(1009);
    expect(end?.bytesRead).toBeLessThanOrEqual(MAX_STRANGER_BYTES);
  });

  test.each([
    ['a call of 100 KB', textFrame(call(1, 'query', 'auth.whoami', { json: 'x'.repeat(1e5) })), 1009],
    ['an input that says it is an array of 120,000,000', textFrame(call(1, 'query', 'auth.whoami', hugeInput())), 4400],
  ])('sends %s instead of parameters, and nothing of it is made', async (_what, frame, code) => {
    await using gateway = await startGateway();
    const before = process.memoryUsage().arrayBuffers;
    await using peer = arrive(gateway, frame);
    expect((await peer.ended())?.code).toBe(code);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50e6);
    expect(codesOf(peer).filter(([id]) => id !== null)).toEqual([]);
  });

  test('is answered what it called in the same packet, once it has', async () => {
    await using gateway = await startGateway();
    const calls = [1, 2].map((id) => textFrame(call(id, 'query', 'auth.whoami')));
    await using peer = arrive(gateway, params(await gateway.token('ada')), ...calls);
    await peer.until(({ texts }) => texts.length === 2);
    expect(codesOf(peer)).toEqual([
      [1, 'answered'],
      [2, 'answered'],
    ]);
  });

  test('is told with each of its calls that it is refused', async () => {
    await using gateway = await startGateway();
    await using peer = arrive(gateway, params('nonsense'), textFrame([call(1, 'query', 'auth.whoami', hugeInput()), publishing(2)]));
    expect((await peer.ended())?.code).toBe(1008);
    expect(codesOf(peer)).toEqual([null, 1, 2].map((id) => [id, 'UNAUTHORIZED']));
  });
});

const root = async (gateway: TestGateway) => gateway.httpClient(await gateway.token('root', 'admin')).admin;
const ENDINGS: [name: string, code: number, end: (gateway: TestGateway, token: string) => Promise<unknown>][] = [
  ['a revocation', 1008, async (gateway) => (await root(gateway)).revoke.mutate({ sub: 'ada' })],
  [
    'an administrator',
    1013,
    async (gateway) => {
      const admin = await root(gateway);
      const [{ connection_id = '' } = {}] = (await admin.connections.query()).connections;
      return admin.disconnect.mutate({ connection_id });
    },
  ],
  [
    'too many refusals',
    4429,
    async (gateway, token) => {
      const url = `${gateway.url}/trpc/${Array(100).fill('auth.whoami').join()}?batch=1`;
      while (gateway.census.places > 0) await (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).arrayBuffer();
    },
  ],
];

describe('a client that is ended', () => {
  test.each(ENDINGS)('by %s, with %i, and goes on publishing stores nothing, and is cut off', async (_name, code, end) => {
    await using gateway = await startGateway({
      COURIER_LIMITS: '{"user":{"publishPerSecond":null,"publishPerMinute":null,"queriesPerSecond":1}}',
    });
    const token = await gateway.token('ada', 'user', { publish: ['forge.job.*'] });
    await using peer = arrive(gateway, params(token), textFrame(publishing(0)));
    await peer.until(({ texts }) => texts.length === 1);
    expect(codesOf(peer)).toEqual([[0, 'answered']]);
    await end(gateway, token);
    const began = performance.now();
    for (let id = 1; !peer.isGone; id += 1) {
      peer.write(textFrame(publishing(id)), textFrame([publishing(-id), publishing(-id)]));
      await fetch(`${gateway.url}/livez`);
    }
    expect(performance.now() - began).toBeLessThan(2000);
    expect(peer.goodbye?.code).toBe(code);
    expect(codesOf(peer).filter(([id, outcome]) => id !== 0 && outcome === 'answered')).toEqual([]);
    expect(await stored(gateway)).toBe(1);
  });

  test('with a thousand calls in one message is answered each once, and what was stored is what it was told', async () => {
    await using gateway = await startGateway();
    await using peer = arrive(gateway, params(await gateway.token('forge', 'service')), textFrame(publishing(0)));
    await peer.until(({ texts }) => texts.length === 1);
    const admin = await root(gateway);
    // Asked for at once; the calls are made in slices.
    const revoked = admin.revoke.mutate({ sub: 'forge' });
    peer.write(textFrame(Array.from({ length: 1000 }, (_, index) => publishing(index + 1))));
    await revoked;
    expect((await peer.ended())?.code).toBe(1008);
    const codes = codesOf(peer);
    expect(new Set(codes.map(([id]) => id)).size).toBe(codes.length);
    expect(await stored(gateway)).toBe(codes.filter(([, outcome]) => outcome === 'answered').length);
    expect(codes.every(([, outcome]) => outcome === 'answered' || outcome === 'UNAUTHORIZED')).toBe(true);
  });

  test('is answered what was running, and nothing of what it called is stored afterwards', async () => {
    await using gateway = await startGateway();
    await using peer = arrive(
      gateway,
      params(await gateway.token('forge', 'service')),
      ...[1, 2, 3].map((id) => textFrame(publishing(id))),
    );
    await peer.until(({ texts }) => texts.length >= 1);
    await (await root(gateway)).revoke.mutate({ sub: 'forge' });
    const before = await stored(gateway);
    await peer.gone;
    expect(
      codesOf(peer)
        .map(([id]) => id)
        .toSorted(),
    ).toEqual([1, 2, 3]);
    expect(await stored(gateway)).toBe(before);
  });
});

/** What superjson would make an array of. */
function hugeInput(): unknown {
  return { json: { length: 120_000_000 }, meta: { values: [['typed-array', 'Float64Array']] } };
}
