/** The histories in which a breaking change could hide from the gate. */
import { mkdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { BREAK, COMPATIBLE, contractRepository, OTHER_BREAK } from '../../helpers/contract-repository.ts';

const PASSED = { code: 0 };
const REFUSED = { code: 1 };
const WHY = ['--breaking', 'Desks see orders from the start.'] as const;

describe('histories', () => {
  test('on main a change is found that was renewed in the commit that made it, and may be explained later', async () => {
    using repository = await contractRepository();
    repository.change(BREAK);
    await repository.overwriteSnapshot();
    repository.commit('Let desks see orders');
    repository.push();
    repository.change(COMPATIBLE);
    await repository.renew(...WHY);
    repository.write('contract.ledger.jsonl', '');
    repository.commit('Another change');
    repository.push();
    const refused = await repository.check();
    expect(refused).toMatchObject(REFUSED);
    expect(refused.stdout).toMatch(/^order\.placed \(in [0-9a-f]+ Let desks see orders\)\n {2}channel +desk/m);
    expect(await repository.renew()).toMatchObject(REFUSED);
    expect(await repository.renew(...WHY)).toMatchObject(PASSED);
    repository.commit('Say why');
    repository.push();
    expect(await repository.check()).toMatchObject(PASSED);
  });

  test('a release ends what main is asked for, and is asked itself', async () => {
    using repository = await contractRepository();
    repository.git('tag', 'v1.0.0');
    repository.change(BREAK);
    await repository.overwriteSnapshot();
    repository.commit('Let desks see orders');
    repository.push();
    repository.git('tag', 'v2.0.0');
    expect(await repository.check()).toMatchObject(REFUSED);
    repository.commit('Go on');
    repository.push();
    expect(await repository.check()).toMatchObject(PASSED);
  });

  test('a release of a branch that is merged does not end it', async () => {
    using repository = await contractRepository();
    repository.branch('side');
    repository.change(BREAK);
    await repository.overwriteSnapshot();
    repository.commit('Let desks see orders');
    repository.git('tag', 'v9.0.0');
    repository.git('switch', '--quiet', 'main');
    repository.git('merge', '--quiet', '--no-ff', '-m', 'Merge the side', 'side');
    repository.commit('Go on');
    repository.push();
    const refused = await repository.check();
    expect(refused).toMatchObject(REFUSED);
    expect(refused.stdout).toContain('Merge the side');
  });

  test('no tag is taken for the main line, and none for a release that is not called like one', async () => {
    using repository = await contractRepository();
    repository.branch('desks');
    repository.change(BREAK);
    await repository.overwriteSnapshot();
    repository.commit('Let desks see orders');
    repository.git('tag', 'origin/main');
    expect(await repository.check()).toMatchObject(REFUSED);
    repository.push();
    repository.git('tag', 'vain');
    repository.commit('Go on');
    repository.push();
    expect(await repository.check()).toMatchObject(REFUSED);
  });

  test('the snapshot may not be away for the time of the change', async () => {
    using repository = await contractRepository();
    const snapshot = repository.read('contract.snapshot.json');
    repository.remove('contract.snapshot.json');
    repository.commit('Away');
    repository.push();
    expect(snapshot).toContain('x-drafts');
    repository.change(BREAK);
    await repository.overwriteSnapshot();
    repository.commit('And back');
    repository.push();
    expect(await repository.check()).toMatchObject(REFUSED);
  });

  test('what only a merge changes is found, and a branch need not explain what main has explained', async () => {
    using repository = await contractRepository();
    repository.branch('side');
    repository.change(COMPATIBLE);
    await repository.renew();
    repository.commit('On the side');
    repository.git('switch', '--quiet', 'main');
    repository.change(OTHER_BREAK);
    await repository.renew('--breaking', 'Desks do not ship.');
    repository.commit('On main');
    repository.push();
    repository.git('switch', '--quiet', 'side');
    repository.git('merge', '--quiet', '--no-commit', 'main');
    await repository.renew();
    repository.commit('Merge main');
    expect(await repository.check()).toMatchObject({ code: 0, stderr: 'breaking changes: 0; compatible: 1\n' });
    repository.git('switch', '--quiet', 'main');
    repository.git('merge', '--quiet', '--no-ff', '--no-commit', 'side');
    repository.change(BREAK);
    await repository.overwriteSnapshot();
    repository.commit('Merge the side, and more');
    repository.push();
    const refused = await repository.check();
    expect(refused).toMatchObject(REFUSED);
    expect(refused.stdout).toContain('Merge the side, and more');
  });

  test('a rebase takes the lines along', async () => {
    using repository = await contractRepository();
    repository.branch('side');
    repository.change(BREAK);
    await repository.renew(...WHY);
    repository.commit('On the side');
    repository.git('switch', '--quiet', 'main');
    repository.edit('contract.ts', "description: 'An order is on its way.'", "description: 'Somebody ships an order.'");
    await repository.renew();
    repository.commit('On main');
    repository.push();
    repository.git('switch', '--quiet', 'side');
    repository.git('rebase', '--quiet', 'main');
    expect(await repository.check()).toMatchObject(PASSED);
    repository.push();
    expect(await repository.check()).toMatchObject(PASSED);
  });

  test('steps that break nobody one by one, and somebody together', async () => {
    using repository = await contractRepository();
    const merged = async (name: string, from: string, to: string, ...why: string[]) => {
      repository.branch(name);
      repository.edit('contract.ts', from, to);
      expect(await repository.renew(...why)).toMatchObject(PASSED);
      repository.commit(name);
    };
    const upcast = `version: 2, upcast: { 1: earlierVersion(z.strictObject({ order_id: id, share: z.number(), note: text.optional() }), ({ note, ...old }) => old) },
      examples: [{ order_id: 'o1', share: 0.5 }],`;
    repository.edit('contract.ts', "examples: [{ order_id: 'o1', share: 0.5 }],", upcast);
    await merged('away', ', note: text.optional() }),\n', ' }),\n', '--breaking', 'Nobody sends notes.');
    expect(repository.ledger()[0].changes).toEqual([
      { subject: 'order.placed', path: 'data.note', change: 'optional field removed', publishers: 'breaking', subscribers: 'compatible' },
      { subject: 'order.placed', path: 'version', change: 'version 1 → 2', publishers: 'compatible', subscribers: 'compatible' },
    ]);
    repository.push();
    repository.branch('back');
    repository.edit('contract.ts', 'max(1) }),', 'max(1), note: z.int().optional() }),');
    await repository.overwriteSnapshot();
    repository.commit('A note is a number');
    const refused = await repository.check();
    expect(refused).toMatchObject(REFUSED);
    expect(refused.stdout).toMatch(/in the time since .*\n {2}data\.note +type string → integer +breaking +breaking/);
    expect(await repository.renew('--breaking', 'Notes are numbers now.')).toMatchObject(PASSED);
    expect(await repository.check()).toMatchObject(PASSED);
  });

  test('without git it says that it proves nothing', async () => {
    using repository = await contractRepository();
    repository.remove('.git');
    const none = await repository.check();
    expect(none).toMatchObject({ code: 0, stderr: expect.stringContaining('there is no git history') });
    repository.change(BREAK);
    expect(await repository.check()).toMatchObject(REFUSED);
    expect(await repository.renew()).toMatchObject(REFUSED);
    expect(await repository.renew(...WHY)).toMatchObject(PASSED);
    expect(await repository.check()).toMatchObject(PASSED);
  });

  test('it is the same from wherever it is asked, by option and by variable', async () => {
    using repository = await contractRepository();
    repository.branch('desks');
    repository.change(BREAK);
    mkdirSync(repository.file('below'));
    for (const [args, cwd, env] of [
      [['check', '--contract', '../contract.ts'], repository.file('below'), {}],
      [['check', '--contract', repository.file('contract.ts')], '/', {}],
      [['check'], repository.path, { COURIER_CONTRACT: 'contract.ts' }],
    ] as const)
      expect(await repository.courier(args, cwd, env)).toMatchObject(REFUSED);
    expect(await repository.courier(['renew', ...WHY], repository.file('below'), { COURIER_CONTRACT: '../contract.ts' })).toMatchObject({
      stderr: '../contract.ledger.jsonl says why: breaking changes: 1\n../contract.snapshot.json is renewed\n',
    });
  });
});
