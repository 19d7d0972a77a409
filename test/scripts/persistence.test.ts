/** Commands that go on where a call fails for a reason that passes, and that say how far they came where it does not. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { TRPCClientError } from '@trpc/client';
import { expect, test } from 'vitest';
import { CliError } from '../../scripts/cli/errors.ts';
import { Persistence } from '../../scripts/cli/persistence.ts';
import { runCli } from '../helpers/cli.ts';
import { ENVIRONMENT } from '../helpers/environment.ts';
import { SECRET, startGateway, type TestGateway } from '../helpers/gateway.ts';

const LONG = { timeout: 60_000 };
const progress = (value: number) => JSON.stringify({ job_id: 'j1', progress: value });
const lines = (count: number) => Array.from({ length: count }, (_, index) => progress(index / count));
const PUBLISH = ['publish', 'forge.job.j1', 'forge.job.progress'];
const stored = async ({ pipeline }: TestGateway) => (await pipeline.log.bounds()).head;

/** What becomes of a request: it is passed on; its answer is lost; a proxy answers; it is the last before the proxy goes away. */
type Fate = 'pass' | 'lose' | 502 | 503 | 504 | 404 | 'last';

/** A proxy in front of a gateway, with a fate for each request; those after the last one pass. */
async function startFateful({ port }: TestGateway, fates: readonly Fate[]) {
  let count = 0;
  const server = createServer((req, res) => void meet(req, res));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = (server.address() as AddressInfo).port;
  async function meet(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const fate = fates[count++] ?? 'pass';
    if (typeof fate === 'number') res.writeHead(fate, { 'content-type': 'text/html' }).end('<h1>Sorry</h1>');
    else {
      const upstream = request({ host: '127.0.0.1', port, method: req.method, path: req.url, headers: req.headers, agent: false });
      upstream.end(await text(req));
      const [answer] = (await once(upstream, 'response')) as [IncomingMessage];
      const body = await text(answer);
      if (fate === 'lose') res.destroy();
      else if (fate === 'pass') res.writeHead(answer.statusCode ?? 500, answer.headers).end(body);
      else {
        server.close();
        res.writeHead(answer.statusCode ?? 500, { ...answer.headers, connection: 'close' }).end(body);
      }
    }
  }
  return {
    // A name, which may have several addresses.
    env: { COURIER_URL: `http://localhost:${own}`, COURIER_JWT_SECRET: SECRET },
    comeBack: () => void server.listen(own, '127.0.0.1'),
    [Symbol.dispose]: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

test('lines are published, each once, whatever becomes of answers, proxies and the gateway meanwhile', LONG, async () => {
  await using gateway = await startGateway();
  using proxy = await startFateful(gateway, [502, 'pass', 'lose', 503, 'last', 504, 'pass']);
  await using publish = runCli(PUBLISH, proxy.env, lines(250).join('\n'));
  await publish.line(/nothing listens there/);
  proxy.comeBack();
  expect([await publish.exit, publish.stdout.length, await stored(gateway)]).toEqual([0, 250, 250]);
  expect(publish.stderr.map((line) => line.replace(/ in .*/, ''))).toEqual([
    expect.stringMatching(/^trying again: the proxy at .* does not reach the gateway \(HTTP 502\)$/),
    expect.stringMatching(/^trying again: .*: the connection was closed before all of the answer had come$/),
    expect.stringMatching(/^trying again: .*: nothing listens there \(ECONNREFUSED\)/),
    'published 250 events',
  ]);
  expect(publish.stdout.filter((line) => line.endsWith(' (duplicate)'))).toHaveLength(100);
});

test('an address that nobody answers at first is most likely a wrong one', async () => {
  await using publish = runCli(PUBLISH, { COURIER_URL: 'http://127.0.0.1:1', COURIER_JWT_SECRET: SECRET }, lines(3).join('\n'));
  expect([await publish.exit, publish.stdout, publish.stderr]).toEqual([
    1,
    [],
    ['0 of 3 published', expect.stringMatching(/^courier: cannot reach .*ECONNREFUSED/)],
  ]);
});

test('what was under way when it failed may be stored, which is told', async () => {
  await using gateway = await startGateway();
  using proxy = await startFateful(gateway, ['pass', 'lose', 404]);
  await using publish = runCli(PUBLISH, proxy.env, lines(150).join('\n'));
  expect([await publish.exit, publish.stdout.length, await stored(gateway)]).toEqual([1, 100, 150]);
  expect(publish.stderr.slice(1)).toEqual([
    '100 of 150 published; of those after them some may be stored too',
    expect.stringMatching(/^courier: what answers at .* is no gateway \(HTTP 404\)/),
  ]);
});

test('what is wrong is told with how far it came', async () => {
  await using gateway = await startGateway();
  using proxy = await startFateful(gateway, []);
  const wrong = lines(200).with(149, progress(7)).join('\n\n');
  await using publish = runCli(PUBLISH, proxy.env, wrong);
  expect([await publish.exit, publish.stdout.length, await stored(gateway)]).toEqual([1, 149, 149]);
  expect(publish.stderr).toEqual([
    '149 of 200 published',
    expect.stringMatching(/^courier: line 299 is not a valid event: data\.progress: /),
  ]);
});

test('and of an input without an end, that there is more', LONG, async () => {
  await using gateway = await startGateway();
  using proxy = await startFateful(gateway, []);
  const cli = fileURLToPath(new URL('../../scripts/courier.ts', import.meta.url));
  const child = spawn(process.execPath, [cli, ...PUBLISH], { env: { ...ENVIRONMENT, ...proxy.env }, stdio: ['pipe', 'ignore', 'pipe'] });
  child.stdin.on('error', () => undefined);
  child.stdin.write(`${progress(0.5)}\nno JSON\n${progress(0.6)}\n`);
  const [[code], stderr] = await Promise.all([once(child, 'close'), text(child.stderr)]);
  expect([code, stderr]).toEqual([1, expect.stringMatching(/^1 published, and the input goes on\ncourier: line 2 is not JSON: .*\n$/)]);
});

test('history goes on from page to page, and says from where to go on where it cannot', LONG, async () => {
  await using gateway = await startGateway();
  const admin = gateway.httpClient(await gateway.token('root', 'admin'));
  const job = (index: number) => ({ type: 'forge.job.started', channel: 'global', data: { job_id: `j${index}`, kind: 'k' } }) as const;
  await admin.events.publishBatch.mutate(Array.from({ length: 5 }, (_, index) => job(index)));
  const HISTORY = ['history', '**', '--all', '--limit', '2', '--json'];
  const idsOf = (stdout: readonly string[]) => stdout.map((line) => (JSON.parse(line) as { data: { job_id: string } }).data.job_id);
  for (const order of [
    ['j0', 'j1', 'j2', 'j3', 'j4'],
    ['j4', 'j3', 'j2', 'j1', 'j0'],
  ]) {
    const command = order[0] === 'j0' ? HISTORY : [...HISTORY, '--newest'];
    using passing = await startFateful(gateway, ['pass', 502, 'lose', 503]);
    await using whole = runCli(command, passing.env);
    expect([await whole.exit, idsOf(whole.stdout)]).toEqual([0, order]);
    using failing = await startFateful(gateway, ['pass', 404]);
    await using part = runCli(command, failing.env);
    expect([await part.exit, idsOf(part.stdout)]).toEqual([1, order.slice(0, 2)]);
    const [, option = '', position = ''] = /^2 events shown; to go on: (--\w+) (\S+)$/.exec(part.stderr[0] ?? '') ?? [];
    await using rest = runCli([...HISTORY, option, position], passing.env);
    expect([await rest.exit, idsOf(rest.stdout)]).toEqual([0, order.slice(2)]);
  }
});

test('patience has an end, and does not try what cannot succeed', async () => {
  const told: string[] = [];
  const persistence = new Persistence({ onWait: (reason) => told.push(reason), patienceMs: 300 });
  let calls = 0;
  const failing = (error: Error) => () => {
    calls += 1;
    return Promise.reject(error);
  };
  const unreachable = new CliError('nobody there', 1, 'unreachable');
  await expect(persistence.run(failing(unreachable))).rejects.toBe(unreachable);
  await expect(persistence.run(failing(new CliError('never')))).rejects.toThrow('never');
  expect([calls, told]).toEqual([2, []]);
  await persistence.run(() => Promise.resolve());
  await expect(persistence.run(failing(unreachable))).rejects.toBe(unreachable);
  expect(calls).toBeGreaterThan(3);
  expect(told).toEqual(['nobody there']);
});

/** Ends as it is told, one after another. */
function ending(...ends: (Error | 'well')[]) {
  return () => {
    const end = ends.shift();
    return end instanceof Error ? Promise.reject(end) : Promise.resolve();
  };
}
const LIMIT = TRPCClientError.from({
  error: { message: 'the limit is reached', code: -32_029, data: { code: 'TOO_MANY_REQUESTS', retryAfterMs: 1 } },
});
const AWAY = new CliError('its answer was lost', 1, 'unavailable');

test('an answer that was lost makes nothing unknown once the call was repeated', async () => {
  const persistence = new Persistence({ onWait: () => undefined });
  await persistence.run(ending(AWAY, 'well'));
  expect(persistence.isUnknown).toBe(false);
  await expect(persistence.run(ending(AWAY, new CliError('no')))).rejects.toThrow('no');
  expect(persistence.isUnknown).toBe(true);
});

test('a failure behind a limit that was reached is told', async () => {
  const told: string[] = [];
  const persistence = new Persistence({ onWait: (reason) => told.push(reason) });
  await persistence.run(ending(LIMIT, AWAY, AWAY, 'well'));
  expect(told).toEqual(['its answer was lost']);
});

/** What this user may publish at once is less than the command sends at once. */
const FEW = JSON.stringify({ user: { publishPerSecond: 10, publishPerMinute: null } });

test('where a limit lets fewer through at once, lines go in smaller parts, in order', LONG, async () => {
  await using gateway = await startGateway({ COURIER_LIMITS: FEW });
  const token = await gateway.token('ada', 'user', { publish: ['forge.job.*'] });
  await using publish = runCli(PUBLISH, { COURIER_URL: gateway.url, COURIER_TOKEN: token }, lines(30).join('\n'));
  expect([await publish.exit, publish.stdout.length, publish.stderr]).toEqual([0, 30, [expect.stringMatching(/^published 30 events/)]]);
  const { events } = await gateway.httpClient(await gateway.token('root', 'admin')).events.history.query({ channels: ['**'] });
  expect(events.map(({ data }) => JSON.stringify(data))).toEqual(lines(30));
});

test('lines that are too large together go in smaller parts', LONG, async () => {
  await using gateway = await startGateway();
  using proxy = await startFateful(gateway, []);
  const done = JSON.stringify({ job_id: 'j1', result: { report: 'r'.repeat(90_000) } });
  await using publish = runCli(['publish', 'forge.job.j1', 'forge.job.completed'], proxy.env, Array(30).fill(done).join('\n'));
  expect([await publish.exit, publish.stdout.length, publish.stderr]).toEqual([0, 30, [expect.stringMatching(/^published 30 events/)]]);
});
