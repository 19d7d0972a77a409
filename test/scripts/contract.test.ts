/** `courier contract` as people and continuous integration use it: in a process, in repositories of its own. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runCli } from '../helpers/cli.ts';
import { COMPATIBLE, contractRepository } from '../helpers/contract-repository.ts';
import { startGateway } from '../helpers/gateway.ts';
import { CONTRACT_HASH } from '../helpers/lumiere.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const STALE =
  'courier: nothing breaks unsaid, but contract.snapshot.json is out of date: npm run -s courier -- contract renew --contract contract.ts\n';

describe('export', () => {
  test.each([
    ['json-schema', 'contract.json'],
    ['asyncapi', 'asyncapi.json'],
  ])('%s is what a gateway serves at /%s', async (format, path) => {
    await using gateway = await startGateway();
    await using run = runCli(['contract', 'export', '--format', format]);
    expect(await run.exit).toBe(0);
    expect(JSON.parse(run.stdout.join(''))).toEqual(await (await fetch(`${gateway.url}/${path}`)).json());
  });

  test('typescript is what the client is made from', async () => {
    await using run = runCli(['contract', 'export', '--format', 'typescript']);
    expect(await run.exit).toBe(0);
    expect(`${run.stdout.join('\n')}\n`).toBe(readFileSync(`${ROOT}client/src/contract.ts`, 'utf8'));
    expect(run.stdout).toContain(`export const CONTRACT_HASH = '${CONTRACT_HASH}';`);
  });

  test('a format that there is none of is wrong usage', async () => {
    await using run = runCli(['contract', 'export', '--format', 'xml']);
    expect(await run.exit).toBe(2);
    expect(run.stderr[0]).toMatch(/'xml' is invalid\. Allowed choices are json-schema, asyncapi, typescript, .*\.$/);
  });
});

describe('check', { timeout: 60_000 }, () => {
  test('the snapshot of this tree is up to date', async () => {
    await using run = runCli(['contract', 'check']);
    expect([run.stdout, await run.exit, run.stderr]).toEqual([[], 0, ['the contract is the same']]);
  });

  test('a compatible change is shown until the snapshot is renewed, and is compatible with what was committed', async () => {
    using repository = await contractRepository();
    repository.change(COMPATIBLE);
    expect(await repository.check()).toEqual({
      code: 4,
      stdout: `  path       change                publishers  subscribers  reason
order.placed
  data.gift  optional field added  compatible  compatible   publishers need not send it; subscribers pass over it
`,
      stderr: STALE,
    });
    const [line = '', ...others] = (await repository.check('--json')).stdout.trim().split('\n');
    expect(others).toEqual([]);
    expect(JSON.parse(line)).toEqual({
      subject: 'order.placed',
      path: 'data.gift',
      change: 'optional field added',
      publishers: 'compatible',
      subscribers: 'compatible',
      reason: 'publishers need not send it; subscribers pass over it',
    });
    expect(await repository.check('--against', 'HEAD')).toMatchObject({ code: 4, stderr: STALE });

    expect(await repository.renew()).toMatchObject({ code: 0 });
    const committed = await repository.check();
    expect(committed).toMatchObject({ code: 0, stderr: 'breaking changes: 0; compatible: 1\n' });
    expect(committed.stdout).toMatch(/^order\.placed\n {2}data\.gift +optional field added/m);
    repository.commit('A gift');
    expect(await repository.check('--against', 'HEAD')).toEqual({ code: 0, stdout: '', stderr: 'the contract is the same\n' });
  });

  test('breaking changes are shown against a branch, a commit, a path in one and a file', async () => {
    using repository = await contractRepository();
    writeFileSync(repository.file('earlier.json'), repository.read('contract.snapshot.json'));
    repository.branch('more');
    repository.edit('contract.ts', 'max(1), note: text', 'max(2), note: text');
    repository.edit('contract.ts', 'order_id: id }),\n', 'order_id: id, carrier: text }),\n');
    repository.edit('contract.ts', "{ order_id: 'o1' }", "{ order_id: 'o1', carrier: 'Post' }");
    for (const [event, toPresent] of [
      ['share: 0.5 }],', '(old) => ({ ...old, share: 1 })'],
      ["carrier: 'Post' }],", "(old) => ({ ...old, carrier: 'unknown' })"],
    ] as const) {
      const old = event.startsWith('share') ? 'share: z.number(), note: text.optional()' : '';
      repository.edit(
        'contract.ts',
        event,
        `${event} version: 2, upcast: { 1: earlierVersion(z.strictObject({ order_id: id, ${old} }), ${toPresent}) },`,
      );
    }
    const renew = 'if they are meant: npm run -s courier -- contract renew --contract contract.ts --breaking "why"';
    const result = await repository.check();
    expect(result).toMatchObject({ code: 1, stderr: `courier: breaking changes: 2; compatible: 5; not in the ledger: 2; ${renew}\n` });
    expect(result.stdout.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['path', 'change', 'publishers', 'subscribers', 'reason'],
      ['order.placed'],
      ['version', 'version 1 → 2', 'compatible', 'compatible', expect.any(String)],
      ['upcasts', 'upcast from 1 added', 'compatible', 'compatible', expect.any(String)],
      ['data.share', 'maximum 1 → maximum 2', 'compatible', 'breaking', 'values may come that were ruled out'],
      ['order.shipped'],
      ['examples', 'reworded', 'compatible', 'compatible', 'only the wording'],
      ['version', 'version 1 → 2', 'compatible', 'compatible', expect.any(String)],
      ['upcasts', 'upcast from 1 added', 'compatible', 'compatible', expect.any(String)],
      ['data.carrier', 'required field added', 'breaking', 'compatible', 'publishers that do not send it are refused'],
      [''],
    ]);

    expect(await repository.renew('--breaking', 'More is to be said.')).toMatchObject({ code: 0 });
    for (const [against, cwd] of [
      ['main', repository.path],
      ['HEAD:contract.snapshot.json', repository.path],
    ] as const)
      expect(await repository.courier(['check', '--contract', 'contract.ts', '--against', against], cwd)).toMatchObject({ code: 0 });
    // A file does not tell since when lines are in the ledger, unless it has one beside it.
    writeFileSync(repository.file('earlier.ledger.jsonl'), '');
    expect(await repository.check('--against', 'earlier.json')).toMatchObject({ code: 0 });
    writeFileSync(repository.file('earlier.ledger.jsonl'), repository.read('contract.ledger.jsonl'));
    expect(await repository.check('--against', 'earlier.json')).toMatchObject({ code: 1 });
  });

  test('another wording is a change too, and no other contract', async () => {
    using repository = await contractRepository();
    const hash = async () =>
      /CONTRACT_HASH = .*/.exec((await repository.courier(['export', '--contract', 'contract.ts', '--format', 'typescript'])).stdout)?.[0];
    const before = await hash();
    repository.edit('contract.ts', 'An order was placed.', 'Somebody has placed an order.');
    const { code, stdout } = await repository.check();
    expect([code, stdout]).toEqual([4, expect.stringMatching(/description +reworded +compatible +compatible +only the wording/)]);
    expect(await hash()).toBe(before);
  });

  test('what cannot be compared with is one line, and wrong usage', async () => {
    using repository = await contractRepository();
    writeFileSync(repository.file('broken.json'), '{"$defs": {\n');
    writeFileSync(repository.file('package.json'), '{"type":"module"}');
    const notGit = 'is no file, and no git ref with a snapshot: ';
    const refusals: [string[], string][] = [
      [['--against', 'nowhere'], `courier: --against: "nowhere" ${notGit}git knows no such commit`],
      [['--against', '--output=x'], `courier: --against: "--output=x" ${notGit}`],
      [['--against', 'HEAD:contract.ts'], `courier: --against: "HEAD:contract.ts" ${notGit}`],
      [['--against', 'broken.json'], 'courier: broken.json is no contract: '],
      [['--against', 'package.json'], 'courier: package.json is no contract: $defs: '],
      [['--against'], "error: option '--against <file or git ref>' argument missing"],
    ];
    for (const [args, message] of refusals) {
      const result = await repository.check(...args);
      expect(result).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^[^\n]+\n$/) });
      expect(result.stderr).toContain(message);
    }
  });

  test('a contract that never had a snapshot gets one first', async () => {
    using repository = await contractRepository();
    writeFileSync(repository.file('news.ts'), repository.read('contract.ts').replace("name: 'shop'", "name: 'news'"));
    const none = 'courier: there is no news.snapshot.json to compare with: npm run -s courier -- contract renew --contract news.ts\n';
    expect(await repository.courier(['check', '--contract', 'news.ts'])).toEqual({ code: 2, stdout: '', stderr: none });
    expect(await repository.courier(['renew', '--contract', 'news.ts'])).toMatchObject({ code: 0 });
    expect(await repository.courier(['check', '--contract', 'news.ts'])).toMatchObject({ code: 0 });
  });
});
