/** The ways to get a breaking change past the gate, each of which must end at it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BREAK, COMPATIBLE, contractRepository, copyOf, OTHER_BREAK, type Repository } from '../../helpers/contract-repository.ts';

const PASSED = { code: 0 };
const REFUSED = { code: 1 };
const WHY = ['--breaking', 'Desks see orders from the start.'] as const;
const DESK_ADDED = {
  subject: 'order.placed',
  path: 'channel',
  change: 'desk.{id} added',
  publishers: 'compatible',
  subscribers: 'breaking',
};

describe('renewing', () => {
  test('a breaking change needs a reason, and nothing is written without one', async () => {
    using repository = await contractRepository();
    repository.change(BREAK);
    const before = repository.read('contract.snapshot.json');
    const refused = await repository.renew();
    expect(refused).toMatchObject(REFUSED);
    expect(refused.stdout).toMatch(/^order\.placed\n {2}channel +desk\.\{id\} added +compatible +breaking/m);
    expect(refused.stderr).toBe(
      'courier: nothing is renewed; breaking changes: 1; if they are meant: npm run -s courier -- contract renew --contract contract.ts --breaking "why"\n',
    );
    for (const blank of ['', '  ', '...', '\u200b']) expect(await repository.renew('--breaking', blank)).toMatchObject({ code: 2 });
    expect([repository.read('contract.snapshot.json'), repository.ledger()]).toEqual([before, []]);
  });

  test('the ledger gets a line that says what breaks, whom and why', async () => {
    using repository = await contractRepository();
    repository.branch('desks');
    repository.change(BREAK);
    repository.change(COMPATIBLE);
    expect(await repository.renew(...WHY)).toEqual({
      code: 0,
      stdout: '',
      stderr: 'contract.ledger.jsonl says why: breaking changes: 1\ncontract.snapshot.json is renewed\n',
    });
    expect(repository.ledger()).toEqual([
      {
        date: new Date().toISOString().slice(0, 10),
        before: expect.stringMatching(/^[0-9a-f]{16}$/),
        after: expect.stringMatching(/^[0-9a-f]{16}$/),
        changes: [DESK_ADDED],
        why: WHY[1],
        breaks: { publishers: [], subscribers: ['order.placed'] },
      },
    ]);
    expect(await repository.check()).toMatchObject({
      code: 0,
      stderr: 'breaking changes: 1, all of them in the ledger; compatible: 1\n',
    });
    repository.commit('Let desks see orders');
    expect(await repository.check()).toMatchObject(PASSED);
    repository.push();
    expect(await repository.check()).toMatchObject(PASSED);
    const again = await repository.renew(...WHY);
    expect(again.stderr).toBe(
      'nothing breaks that the ledger does not say already: it gets no line\ncontract.snapshot.json is up to date\n',
    );
    expect(repository.ledger()).toHaveLength(1);
  });

  test('a compatible change is not in the ledger', async () => {
    using repository = await contractRepository();
    repository.change(COMPATIBLE);
    expect(await repository.check()).toMatchObject({ code: 4 });
    expect(await repository.renew()).toMatchObject(PASSED);
    expect(await repository.check()).toMatchObject({ code: 0, stderr: 'breaking changes: 0; compatible: 1\n' });
    expect(repository.ledger()).toEqual([]);
  });
});

describe('on a branch', () => {
  test('the snapshot that the change brings itself proves nothing', async () => {
    using repository = await contractRepository();
    repository.branch('desks');
    repository.change(BREAK);
    await repository.overwriteSnapshot();
    expect(await repository.check()).toMatchObject(REFUSED);
    repository.commit('Let desks see orders');
    const refused = await repository.check();
    expect(refused).toMatchObject(REFUSED);
    expect(refused.stderr).toBe(
      'courier: breaking changes: 1; compatible: 0; not in the ledger: 1; if they are meant: npm run -s courier -- contract renew --contract contract.ts --breaking "why"\n',
    );
    const [line = ''] = (await repository.check('--json')).stdout.split('\n');
    expect(JSON.parse(line)).toMatchObject({ ...DESK_ADDED, named: false });
    // Renewing sees what the branch breaks, though the snapshot has it already.
    expect(await repository.renew()).toMatchObject(REFUSED);
    expect(await repository.renew(...WHY)).toMatchObject(PASSED);
    expect(await repository.check()).toMatchObject(PASSED);
  });

  test('without its snapshot no contract passes', async () => {
    using repository = await contractRepository();
    repository.branch('none');
    repository.remove('contract.snapshot.json');
    expect(await repository.check()).toMatchObject({ code: 4, stderr: expect.stringContaining('contract.snapshot.json is gone') });
    repository.change(BREAK);
    expect(await repository.check()).toMatchObject(REFUSED);
    repository.commit('Remove the snapshot');
    expect(await repository.check()).toMatchObject(REFUSED);
    expect(await repository.renew()).toMatchObject(REFUSED);
  });

  test('each breaking change needs its line: that of the first does not do for the second', async () => {
    using repository = await contractRepository();
    repository.branch('two');
    repository.change(BREAK);
    await repository.renew(...WHY);
    repository.commit('One');
    repository.change(OTHER_BREAK);
    await repository.overwriteSnapshot();
    repository.commit('Two');
    expect(await repository.check()).toMatchObject(REFUSED);
    expect(await repository.renew('--breaking', 'Desks do not ship.')).toMatchObject(PASSED);
    repository.commit('Say why');
    expect(repository.ledger()).toMatchObject([
      { changes: [DESK_ADDED] },
      { changes: [{ change: 'desk.{id} removed' }], why: 'Desks do not ship.' },
    ]);
    expect(await repository.check()).toMatchObject(PASSED);
    repository.push();
    expect(await repository.check()).toMatchObject(PASSED);
  });

  test('a type that is called otherwise is one that is gone', async () => {
    using repository = await contractRepository();
    repository.branch('rename');
    repository.edit('contract.ts', "'order.shipped':", "'order.sent':");
    expect((await repository.renew()).stdout).toMatch(
      /^order\.shipped\n {2}- +type removed +breaking +breaking.*\norder\.sent\n {2}- +type added/m,
    );
    expect(await repository.renew('--breaking', 'The word is sent.')).toMatchObject(PASSED);
    expect(repository.ledger()[0].breaks).toEqual({ publishers: ['order.shipped'], subscribers: ['order.shipped'] });
    expect(await repository.check()).toMatchObject(PASSED);
  });

  test('the way back is a change too', async () => {
    using repository = await contractRepository();
    repository.change(BREAK);
    await repository.renew(...WHY);
    repository.commit('There');
    repository.push();
    repository.branch('back');
    repository.edit('contract.ts', BREAK[1], BREAK[0]);
    await repository.overwriteSnapshot();
    repository.commit('And back');
    expect(await repository.check()).toMatchObject(REFUSED);
    expect(await repository.renew('--breaking', 'It was too much.')).toMatchObject(PASSED);
    expect(await repository.check()).toMatchObject(PASSED);
    repository.commit('Say why');
    repository.push();
    repository.branch('again');
    repository.change(BREAK);
    await repository.overwriteSnapshot();
    const text = repository.read('contract.ledger.jsonl');
    repository.write('contract.ledger.jsonl', `${text}${text.split('\n')[0]}\n`);
    expect(await repository.check()).toMatchObject(REFUSED);
  });
});

test('a branch hears of a commit that main would not let pass alone', async () => {
  using repository = await contractRepository();
  repository.branch('there-and-back');
  repository.change(BREAK);
  await repository.overwriteSnapshot();
  repository.commit('There');
  repository.edit('contract.ts', BREAK[1], BREAK[0]);
  await repository.overwriteSnapshot();
  repository.commit('And back');
  const told = expect.stringMatching(/^courier: [0-9a-f]+ There: this commit breaks somebody until a later one; squash them/);
  expect(await repository.check()).toMatchObject({ code: 0, stderr: told });
  repository.push();
  expect(await repository.check()).toMatchObject(REFUSED);
});

describe('the ledger', () => {
  let broken: Repository;
  beforeAll(async () => {
    broken = await contractRepository();
    broken.change(OTHER_BREAK);
    await broken.renew('--breaking', 'Desks do not ship.');
    broken.commit('Before');
    broken.push();
    broken.branch('desks');
    broken.change(BREAK);
    await broken.renew(...WHY);
    broken.commit('Let desks see orders');
    expect(await broken.check()).toMatchObject(PASSED);
  });
  afterAll(() => broken[Symbol.dispose]());

  test.each([
    ['a reason of nothing', (text: string) => text.replace(WHY[1], ' ')],
    ['no reason', (text: string) => text.replace(`"why":"${WHY[1]}",`, '')],
    ['another subject', (text: string) => text.replaceAll('order.placed', 'order.shipped')],
    ['another path', (text: string) => text.replace(/"path":"channel"(?=[^\n]*\n$)/, '"path":"data.channel"')],
    ['another change', (text: string) => text.replace('desk.{id} added', 'user.{id} added')],
    [
      'another verdict',
      (text: string) =>
        text.replace('"change":"desk.{id} added","publishers":"compatible"', '"change":"desk.{id} added","publishers":null'),
    ],
    ['no changes', (text: string) => text.replace(/"changes":\[[^\]]*\](?=[^\n]*\n$)/, '"changes":[]')],
    ['no JSON', (text: string) => text.replace(/\}\n$/, '\n')],
    ['the line of another change in place of its own', (text: string) => `${text.split('\n')[0]}\n${text.split('\n')[0]}\n`],
    ['its line gone', (text: string) => `${text.split('\n')[0]}\n`],
    ['an earlier line gone', (text: string) => `${text.split('\n')[1]}\n`],
    ['an earlier line in other words', (text: string) => text.replace('Desks do not ship.', 'For no reason.')],
    ['a line that says nothing beside those that do', (text: string) => `${text}{"why":"Because."}\n`],
  ])('with %s it does not let the change pass', async (_, edited) => {
    using repository = copyOf(broken);
    const text = repository.read('contract.ledger.jsonl');
    expect(edited(text)).not.toBe(text);
    repository.write('contract.ledger.jsonl', edited(text));
    expect(await repository.check()).toMatchObject(REFUSED);
  });

  test('that is gone takes its lines with it, also on main', async () => {
    using repository = copyOf(broken);
    repository.push();
    repository.remove('contract.ledger.jsonl');
    expect(await repository.check()).toMatchObject(REFUSED);
    repository.commit('No ledger');
    repository.push();
    const refused = await repository.check();
    expect(refused).toMatchObject(REFUSED);
    expect(refused.stdout).toContain('the line was there, and was changed or removed');
    expect(await repository.renew('--breaking', 'Nobody reads it.')).toMatchObject(REFUSED);
  });

  test('a line that was written before the change does not excuse it', async () => {
    using repository = copyOf(broken);
    const [earlier, line] = repository.read('contract.ledger.jsonl').split('\n');
    repository.git('switch', '--quiet', 'main');
    repository.write('contract.ledger.jsonl', `${earlier}\n${line}\n`);
    repository.commit('Say why, without doing it');
    expect(await repository.check()).toMatchObject(PASSED);
    repository.push();
    repository.branch('later');
    repository.change(BREAK);
    await repository.overwriteSnapshot();
    repository.commit('Do it');
    expect(await repository.check()).toMatchObject(REFUSED);
    repository.push();
    expect(await repository.check()).toMatchObject(REFUSED);
  });
});
