/** Requests, which are connected as long as they last: with a body that has yet to come, and while the gateway ends. */
import { request } from 'node:http';
import { describe, expect, inject, test } from 'vitest';
import { createDatabase } from '../../scripts/servers.ts';
import { stored } from '../contracts/transport/publishing.ts';
import { startProxy } from '../faults/proxy.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { jobStarted } from '../helpers/samples.ts';

const JOB = jobStarted();
const SURFACES: [name: string, path: string, body: string][] = [
  ['plain HTTP', '/publish', JSON.stringify(JOB)],
  ['tRPC over HTTP', '/trpc/events.publish', JSON.stringify({ json: JOB })],
];

/** A request whose body is sent in pieces. */
function post({ url }: TestGateway, path: string, token: string, bytes: number) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'content-length': bytes };
  const req = request(`${url}${path}`, { method: 'POST', headers, agent: false });
  const answer = new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
    req.on('error', reject);
    req.on('response', (res) => {
      let text = '';
      res.on('data', (chunk) => {
        text += String(chunk);
      });
      res.on('end', () => resolve({ status: res.statusCode, text }));
    });
  });
  return { req, answer };
}

describe.each(SURFACES)('a body over %s', (_name, path, body) => {
  const [half, rest] = [body.slice(0, 20), body.slice(20)];

  test('that is still coming when the token is revoked is refused, and stores nothing', async () => {
    await using gateway = await startGateway();
    const { req, answer } = post(gateway, path, await gateway.token('forge', 'service'), body.length);
    req.write(half);
    await expect.poll(() => gateway.census.requests).toBe(1);
    const { admin } = gateway.httpClient(await gateway.token('root', 'admin'));
    await admin.revoke.mutate({ sub: 'forge' });
    req.end(rest);
    const { status, text } = await answer;
    expect([status, text]).toEqual([401, expect.stringContaining('the token was revoked')]);
    expect(await stored(gateway)).toBe(0);
    await expect.poll(() => gateway.census.requests).toBe(0);
  });

  test('that never comes does not delay the end of the gateway', async () => {
    await using gateway = await startGateway({ COURIER_DRAIN_SECONDS: '10' });
    const { req, answer } = post(gateway, path, await gateway.token('forge', 'service'), body.length);
    req.write(half);
    await expect.poll(() => gateway.census.requests).toBe(1);
    const began = performance.now();
    await gateway[Symbol.asyncDispose]();
    expect(performance.now() - began).toBeLessThan(2000);
    expect((await answer).status).toBe(503);
  });

  test('that came is answered though the gateway ends, however long the log takes', async () => {
    const database = new URL(await createDatabase(inject('postgresUrl')));
    await using proxy = await startProxy(Number(database.port));
    database.port = String(proxy.port);
    await using gateway = await startGateway({ COURIER_LOG: database.href, COURIER_DRAIN_SECONDS: '10' });
    const append = proxy.hold('forge.job.started');
    const { req, answer } = post(gateway, path, await gateway.token('forge', 'service'), body.length);
    req.end(body);
    await append.heard;
    const ended = gateway[Symbol.asyncDispose]();
    // Longer than a client may take to go.
    setTimeout(() => append.release(), 2500);
    expect((await answer).status).toBe(path === '/publish' ? 201 : 200);
    await ended;
  });
});
