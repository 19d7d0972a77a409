/** What others wrote, on a terminal: the command line shows it, and does not let it act. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import superjson from 'superjson';
import { describe, expect, test } from 'vitest';
import { runCli } from '../helpers/cli.ts';
import { SECRET, startGateway } from '../helpers/gateway.ts';

/** Clears the screen, colours, forges a line and a column, and turns the direction of writing. */
const HOSTILE =
  'a\u001b[2J\u0000\t\n\r\u001f\u007f\u0080\u009b\u009f\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069é z';
const SHOWN = String.raw`a\u001b[2J\u0000\u0009\u000a\u000d\u001f\u007f\u0080\u009b\u009f\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069é z`;

const TIMESTAMP = new Date('2026-01-02T03:04:05.678Z');
const EVENT = {
  id: `${HOSTILE}1`,
  channel: HOSTILE,
  type: `${HOSTILE}.failed`,
  metadata: { timestamp: TIMESTAMP, source: HOSTILE },
  data: { [HOSTILE]: HOSTILE, nested: { [HOSTILE]: [HOSTILE] } },
};
/** A value within data is shown as JSON, which has forms of its own for some controls. */
const NESTED = SHOWN.replace(String.raw`\u0009\u000a\u000d`, String.raw`\t\n\r`);
const DATA = `${SHOWN}=${SHOWN} nested={"${NESTED}":["${NESTED}"]}`;
const PAGE = {
  events: [EVENT],
  next: HOSTILE,
  has_more: true,
  gap: { reason: HOSTILE, requested: HOSTILE, resumed_from: HOSTILE },
};
const RECEIPT = { id: HOSTILE, channel: HOSTILE, type: HOSTILE, timestamp: TIMESTAMP, duplicate: true };
const ROW = { id: 'c1', [HOSTILE]: HOSTILE, last: 'end' };
const STATS = { version: HOSTILE, [HOSTILE]: HOSTILE, clients: [ROW] };

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const result = (data: unknown): Answer => ({ status: 200, body: [{ result: { data: superjson.serialize(data) } }] });

/** Answers any call like a gateway that nobody should have trusted. */
async function hostileGateway(answer: Answer) {
  const server = createServer((req, res) => {
    req.resume();
    res.writeHead(answer.status, { 'content-type': 'application/json', 'x-courier-contract': 'any' }).end(JSON.stringify(answer.body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    env: { COURIER_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, COURIER_TOKEN: 'any' },
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function outputOf(answer: Answer, args: readonly string[], env: Record<string, string> = {}) {
  await using gateway = await hostileGateway(answer);
  await using run = runCli(args, { ...gateway.env, ...env });
  const code = await run.exit;
  return { code, stdout: run.stdout, stderr: run.stderr };
}

describe('what a publisher wrote', () => {
  test('is shown by tail and history, on its own line, and stays equal as JSON', async () => {
    await using gateway = await startGateway();
    const env = { COURIER_URL: gateway.url, COURIER_JWT_SECRET: SECRET };
    const data = { strategy_id: 's1', name: HOSTILE, parameters: { [HOSTILE]: HOSTILE } };
    await using publish = runCli(['publish', 'strategy.s1', 'strategy.generation.started', JSON.stringify(data)], env);
    expect(await publish.exit).toBe(0);
    const shown = expect.stringContaining(`strategy_id=s1 name=${SHOWN} parameters={"${NESTED}":"${NESTED}"}`);
    for (const command of [
      ['tail', '--from', 'earliest', '--limit', '1'],
      ['history', '**'],
    ]) {
      await using readable = runCli(command, env);
      expect([await readable.exit, readable.stdout]).toEqual([0, [shown]]);
      await using json = runCli([...command, '--json'], env);
      expect(await json.exit).toBe(0);
      expect(json.stdout.join('')).not.toMatch(/[\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/);
      const events = json.stdout.map((line) => JSON.parse(line)).filter(({ type }) => type !== 'courier.live');
      expect(events).toMatchObject([{ data }]);
    }
  });

  test('is shown in the error that refuses it', async () => {
    await using gateway = await startGateway();
    const env = { COURIER_URL: gateway.url, COURIER_JWT_SECRET: SECRET };
    const data = JSON.stringify({ job_id: 'j1', kind: 'x', [HOSTILE]: 1 });
    await using publish = runCli(['publish', 'global', 'forge.job.started', data], env);
    expect(await publish.exit).toBe(1);
    expect(publish.stderr).toEqual([`courier: data is not a valid event: data.${SHOWN}: is not a known key`]);
  });
});

describe('what a gateway answers', () => {
  test('history: events, gaps and positions', async () => {
    expect(await outputOf(result(PAGE), ['history', '**'])).toEqual({
      code: 0,
      stdout: [`2026-01-02   ${SHOWN} ${SHOWN}.failed ${SHOWN} ${DATA}`],
      stderr: [`gap (${SHOWN}): events after ${SHOWN} are missing; going on after ${SHOWN}`, `there is more: --after ${SHOWN}, or --all`],
    });
    const { stdout } = await outputOf(result(PAGE), ['history', '**', '--json']);
    expect(stdout.map((line) => JSON.parse(line))).toEqual([JSON.parse(JSON.stringify(EVENT))]);
  });

  test('history: colours are those of the command line only', async () => {
    const { stdout } = await outputOf(result(PAGE), ['history', '**'], { FORCE_COLOR: '1', NO_COLOR: '' });
    expect(stdout).toEqual([
      `\u001b[2m2026-01-02  \u001b[22m ${SHOWN} \u001b[31m${SHOWN}.failed\u001b[39m \u001b[2m${SHOWN}\u001b[22m ${DATA}`,
    ]);
  });

  test('trace: the tree and what is below it', async () => {
    const step = { event: EVENT, stored_at: TIMESTAMP, after_cause_ms: 3 };
    const page = { correlation_id: HOSTILE, steps: [step], hidden: 1, next: HOSTILE, has_more: false, is_partial: false };
    const { code, stdout, stderr } = await outputOf(result(page), ['trace', 'any']);
    expect([code, stdout[1], stdout[2], stderr]).toEqual([
      0,
      `${SHOWN}.failed  ${SHOWN}  ${SHOWN}  2026-01-02 03:04:05.678  +3 ms  slowest`,
      `1 event; service ${SHOWN}; 1 hidden`,
      [],
    ]);
    const coloured = await outputOf(result(page), ['trace', 'any'], { FORCE_COLOR: '1', NO_COLOR: '' });
    expect(coloured.stdout[1]).toBe(
      `\u001b[31m${SHOWN}.failed\u001b[39m  ${SHOWN}  \u001b[2m${SHOWN}\u001b[22m  \u001b[2m2026-01-02 03:04:05.678\u001b[22m  \u001b[1m+3 ms  slowest\u001b[22m`,
    );
    const json = await outputOf(result(page), ['trace', 'any', '--json']);
    expect(json.stdout.map((line) => JSON.parse(line))).toEqual([JSON.parse(JSON.stringify(step))]);
  });

  test('publish: the receipt', async () => {
    const args = ['publish', 'global', 'forge.job.completed', '{"job_id":"j1"}'];
    expect(await outputOf(result(RECEIPT), args)).toMatchObject({ code: 0, stdout: [`${SHOWN} ${SHOWN} ${SHOWN} (duplicate)`] });
    const { stdout } = await outputOf(result(RECEIPT), [...args, '--json']);
    expect(stdout.map((line) => JSON.parse(line))).toEqual([JSON.parse(JSON.stringify(RECEIPT))]);
  });

  test('connections: names and cells, in columns', async () => {
    const answer = result({ total: 1, connections: [ROW] });
    expect(await outputOf(answer, ['connections'])).toEqual({
      code: 0,
      stdout: [`id  ${SHOWN}  last`, `c1  ${SHOWN}  end`],
      stderr: [],
    });
    const { stdout } = await outputOf(answer, ['connections', '--json']);
    expect(stdout.map((line) => JSON.parse(line))).toEqual([ROW]);
  });

  test.each(['stats', 'health'])('%s: names and values', async (command) => {
    const answer = { status: 200, body: STATS };
    expect(await outputOf(answer, [command])).toEqual({
      code: 0,
      stdout: [`${'version'.padEnd(42)} ${SHOWN}`, `${SHOWN} ${SHOWN}`, 'clients', `  id  ${SHOWN}  last`, `  c1  ${SHOWN}  end`],
      stderr: [],
    });
    const { stdout } = await outputOf(answer, [command, '--json']);
    expect(stdout.map((line) => JSON.parse(line))).toEqual([STATS]);
  });

  test('an error, over tRPC and in plain JSON', async () => {
    const error = { code: -32003, message: HOSTILE, data: { code: 'FORBIDDEN', httpStatus: 403 } };
    const refused = { status: 403, body: [{ error: superjson.serialize(error) }] };
    for (const args of [['tail'], ['history', '**'], ['trace', 'any'], ['connections'], ['revoke', '--sub', 'ada']])
      expect(await outputOf(refused, args)).toEqual({ code: 3, stdout: [], stderr: [`courier: ${SHOWN}`] });
    expect(await outputOf({ status: 403, body: { detail: HOSTILE } }, ['stats'])).toEqual({
      code: 3,
      stdout: [],
      stderr: [`courier: ${SHOWN}`],
    });
  });
});
