/** `courier contract users` and `courier contract check --gateway` as people and build servers run them: in processes. */
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runCli } from '../helpers/cli.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { SECRET, startGateway, type TestGateway } from '../helpers/gateway.ts';
import { CONTRACT_HASH, DOCUMENT } from '../helpers/lumiere.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { SAMPLES } from '../helpers/samples.ts';
import { plainWebSocket } from '../helpers/transports.ts';

const CLIENT = 'courier-client-python/0.1.0';
const HASH = '0123456789abcdef';
const DAY = /\d{4}-\d\d-\d\d/;
const forGateway = ({ url }: { readonly url: string }) => ({ COURIER_URL: url, COURIER_JWT_SECRET: SECRET });

async function run(args: readonly string[], env: Record<string, string> = {}) {
  await using cli = runCli(['contract', ...args], env);
  const code = await cli.exit;
  return { code, stdout: cli.stdout, stderr: cli.stderr };
}

async function publishAs(sub: string, url: string, said: Readonly<Record<string, string>>): Promise<void> {
  const headers = { authorization: `Bearer ${await processToken(sub, 'service')}`, 'content-type': 'application/json', ...said };
  const response = await fetch(`${url}/publish`, { method: 'POST', headers, body: JSON.stringify(SAMPLES['backtest.progress']) });
  expect(response.status).toBe(201);
}

/** A service with two connections that follows a family. */
async function follow(gateway: TestGateway) {
  const token = await gateway.token('risk', 'service');
  const headers = { 'x-courier-client': CLIENT, 'x-courier-contract': HASH };
  const peers = [1, 2].map(() => plainWebSocket.subscribe(gateway.port, { token, channels: 'backtest.*', headers }));
  await Promise.all(peers.map((peer) => peer.live()));
  return {
    [Symbol.asyncDispose]: async () => {
      for (const peer of peers) peer.socket.destroy();
      await Promise.all(peers.map(({ gone }) => gone));
    },
  };
}

/** The file of an earlier contract, in which progress had a field more, which receivers could rely on. */
function earlierContract(path: string): string {
  const earlier = structuredClone(DOCUMENT) as unknown as Record<
    '$defs' | 'x-drafts',
    Record<string, { properties: { data: DataSchema } }>
  >;
  for (const part of ['$defs', 'x-drafts'] as const) {
    const data = earlier[part]['backtest.progress']?.properties.data;
    Object.assign(data?.properties ?? {}, { bars_left: { type: 'integer' } });
    data?.required.push('bars_left');
  }
  writeFileSync(path, JSON.stringify(earlier));
  return path;
}

interface DataSchema {
  readonly properties: object;
  readonly required: string[];
}

describe('users', { timeout: 60_000 }, () => {
  test('shows who used which types, connected or not', async () => {
    await using gateway = await startGateway();
    await publishAs('cartographe', gateway.url, { 'x-courier-client': 'batch/2' });
    await using _risk = await follow(gateway);
    const { code, stdout, stderr } = await run(['users'], forGateway(gateway));
    expect([code, stderr]).toEqual([0, []]);
    expect(stdout.map((line) => line.replace(DAY, 'DAY'))).toEqual([
      'sub          role     client                       contract          connections  last_seen',
      'cartographe  service  batch/2                      -                 0            DAY',
      '  published   backtest.progress',
      '  channels    backtest.*',
      'risk         service  courier-client-python/0.1.0  0123456789abcdef  2            DAY',
      '  subscribed  backtest.started, backtest.progress, backtest.completed, backtest.failed',
      '  channels    backtest.*',
    ]);
    const json = await run(['users', '--json', '--url', gateway.url, '--token', await processToken('root', 'admin')]);
    expect(json.stdout.map((line) => JSON.parse(line))).toMatchObject([
      { sub: 'cartographe', client: 'batch/2', contract: null, published: ['backtest.progress'], connections: 0 },
      { sub: 'risk', contract: HASH, connections: 2, last_seen: expect.stringMatching(DAY) },
    ]);
  });

  test('says so when there are none, and to whom it does not tell', async () => {
    await using gateway = await startGateway();
    const env = forGateway(gateway);
    const none = { code: 0, stdout: [], stderr: ['nobody used the contract within the last 30 days'] };
    expect(await run(['users'], env)).toEqual(none);
    const refused = await run(['users', '--token', await processToken('forge', 'service')], env);
    expect(refused).toEqual({ code: 3, stdout: [], stderr: ['courier: this is for admins'] });
  });

  test('still shows them when the process of the gateway was ended and started again', async () => {
    using folder = temporaryFolder();
    const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
    {
      await using gateway = await startProcess(env);
      await publishAs('cartographe', gateway.url, { 'x-courier-client': 'batch/2' });
      expect(await gateway.end('SIGTERM')).toBe(0);
    }
    await using gateway = await startProcess(env);
    expect((await run(['users'], forGateway(gateway))).stdout).toContain('  published   backtest.progress');
  });
});

describe('check --gateway', { timeout: 60_000 }, () => {
  test('names whom a breaking change breaks, but not who has the new contract', async () => {
    using folder = temporaryFolder();
    await using gateway = await startGateway();
    await publishAs('cartographe', gateway.url, { 'x-courier-client': 'batch/2', 'x-courier-contract': CONTRACT_HASH });
    await using _risk = await follow(gateway);
    const args = ['check', '--against', earlierContract(folder.file('earlier.json')), '--gateway', gateway.url];
    const env = { COURIER_JWT_SECRET: SECRET };
    const line = `removing backtest.progress.bars_left breaks: ${CLIENT} of sub risk (2 connections, backtest.*)`;
    const { code, stdout, stderr } = await run(args, env);
    expect([code, stdout.at(-1), stderr]).toEqual([1, line, [expect.stringMatching(/^courier: breaking changes: 1/)]]);
    expect(stdout.join('\n')).toMatch(/^ {2}data\.bars_left +required field removed/m);
    await publishAs('cartographe', gateway.url, { 'x-courier-client': 'batch/1' });
    const both = await run([...args, '--token', await processToken('root', 'admin')]);
    expect(both.stdout.at(-1)?.replace(DAY, 'DAY')).toBe(
      line.replace('breaks: ', 'breaks: batch/1 of sub cartographe (last seen DAY, backtest.*); '),
    );
    const json = await run([...args, '--json'], env);
    expect(JSON.parse(json.stdout.at(-1) ?? '')).toMatchObject({
      subject: 'backtest.progress',
      path: 'data.bars_left',
      users: [{ client: 'batch/1' }, { client: CLIENT, connections: 2 }],
    });
  });

  test('asks no gateway where nothing breaks', async () => {
    using folder = temporaryFolder();
    const same = folder.file('same.json');
    writeFileSync(same, JSON.stringify(DOCUMENT));
    const { stderr } = await run(['check', '--against', same, '--gateway', 'http://127.0.0.1:1', '--token', 'x']);
    expect(stderr.join()).not.toContain('could not be asked');
  });

  test('says its verdict, and then whether a gateway could be asked', async () => {
    using folder = temporaryFolder();
    await using gateway = await startGateway();
    const file = folder.file('contract.ts');
    writeFileSync(file, `export { default } from '${new URL('../../src/contracts/lumiere/contract.ts', import.meta.url)}';`);
    // No stored event has to be read for it.
    const before = structuredClone(DOCUMENT) as unknown as { 'x-channels': Record<'strategy', { types: string[] }> };
    before['x-channels'].strategy.types.push('forge.job.started');
    const earlier = folder.file('earlier.json');
    for (const path of [earlier, folder.file('contract.snapshot.json')]) writeFileSync(path, JSON.stringify(before));
    const check = (url: string) => run(['check', '--contract', file, '--against', earlier, '--gateway', url, '--token', 'x']);
    const verdict = expect.stringMatching(/^courier: breaking changes: 1; /);
    const away = expect.stringMatching(
      /^courier: the gateway could not be asked whom it breaks: cannot reach the gateway at http:\/\/127\.0\.0\.1:1: /,
    );
    const refused = expect.stringMatching(/^courier: the gateway could not be asked whom it breaks: /);
    expect(await check('http://127.0.0.1:1')).toMatchObject({ code: 1, stderr: [verdict, away] });
    expect(await check(gateway.url)).toMatchObject({ code: 1, stderr: [verdict, refused] });
    expect(await run(['renew', '--contract', file, '--breaking', 'Strategies have no jobs.'])).toMatchObject({ code: 0 });
    const passed = { code: 5, stderr: ['breaking changes: 1, all of them in the ledger; compatible: 0', away] };
    expect(await check('http://127.0.0.1:1')).toMatchObject(passed);
  });
});
