/** Which earlier contract a contract was: it may move and be called otherwise, and a repository may have others, and new ones. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BREAK, CONTRACT, contractRepository, copyOf, type Repository } from '../../helpers/contract-repository.ts';

const PASSED = { code: 0 };
const REFUSED = { code: 1 };
const WHY = ['--breaking', 'Desks see orders from the start.'] as const;
const NEW = { code: 0, stdout: '', stderr: expect.stringContaining('no earlier commit has this contract') };
const called = (name: string) => CONTRACT.replace("name: 'shop'", `name: '${name}'`);
const at = (repository: Repository, path: string) => ({
  check: (...args: string[]) => repository.courier(['check', '--contract', path, ...args]),
  renew: (...args: string[]) => repository.courier(['renew', '--contract', path, ...args]),
  /** Its file, and its snapshot as somebody makes it who does not want to be asked. */
  write: async (text: string) => {
    repository.write(path, text);
    const { stdout } = await repository.courier(['export', '--contract', path]);
    repository.write(path.replace('.ts', '.snapshot.json'), stdout);
  },
});

describe('a contract that moves', () => {
  test.each([
    ['is elsewhere', 'contracts/contract.ts', 'shop'],
    ['is elsewhere and called otherwise', 'other.ts', 'store'],
  ])('and %s is still the same', async (_, path, name) => {
    using repository = await contractRepository();
    const moved = at(repository, path);
    repository.branch('move');
    await moved.write(called(name).replace(...BREAK));
    repository.remove('contract.ts');
    repository.remove('contract.snapshot.json');
    expect(await moved.check()).toMatchObject(REFUSED);
    repository.commit('Move the contract');
    expect(await moved.check()).toMatchObject(REFUSED);
    expect(await moved.renew(...WHY)).toMatchObject(PASSED);
    repository.commit('Say why');
    expect(await moved.check()).toMatchObject(PASSED);
    repository.push();
    expect(await moved.check()).toMatchObject(PASSED);
  });

  test('and leaves its snapshot behind is refused until that is moved too, or named', async () => {
    using repository = await contractRepository();
    const moved = at(repository, 'events.ts');
    repository.branch('move');
    await moved.write(called('store').replace(...BREAK));
    repository.remove('contract.ts');
    const leftBehind = {
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(
        /^courier: contract\.snapshot\.json is there, and its contract is not, which was contract\.ts in (HEAD|[0-9a-f]+): /,
      ),
    };
    expect(await moved.check()).toMatchObject(leftBehind);
    repository.commit('Call it otherwise');
    expect(await moved.check()).toMatchObject(leftBehind);
    expect(await moved.renew()).toMatchObject(leftBehind);
    expect(await moved.check('--against', 'main:contract.snapshot.json')).toMatchObject(REFUSED);
    using pushed = copyOf(repository);
    pushed.push();
    expect(await at(pushed, 'events.ts').check()).toMatchObject(leftBehind);
    for (const mend of [
      () => repository.remove('contract.snapshot.json'),
      () => repository.git('mv', '--force', 'contract.snapshot.json', 'events.snapshot.json'),
    ]) {
      mend();
      expect(await moved.check()).toMatchObject(REFUSED);
      repository.git('reset', '--quiet', '--hard');
    }
  });
});

describe('a repository of several contracts', () => {
  let several: Repository;
  afterAll(() => several[Symbol.dispose]());
  /** One whose first snapshot, of another place, has no name in it; and a document of a contract that is no snapshot. */
  beforeAll(async () => {
    several = await contractRepository();
    const { 'x-name': _, ...nameless } = JSON.parse(several.read('contract.snapshot.json'));
    several.git('switch', '--quiet', '--orphan', 'first');
    several.git('branch', '--quiet', '--delete', '--force', 'main');
    several.git('branch', '--quiet', '--move', 'main');
    several.write('old/snapshot.json', JSON.stringify(nameless, null, 2));
    several.commit('A contract before it had a name');
    several.remove('old');
    await at(several, 'platform/contract.ts').write(called('platform').replace(...BREAK));
    several.commit('Give it a name');
    several.write('tests/shop.json', JSON.stringify({ ...nameless, 'x-name': 'shop', title: 'For tests' }));
    several.commit('A document for tests');
    several.push();
  });

  test.each([
    ['contract.ts', 'shop'],
    ['below/contract.ts', 'shop'],
    ['warehouse.ts', 'warehouse'],
  ])('takes %s of the name %s for a new one', async (path, name) => {
    using repository = copyOf(several);
    const { check, renew } = at(repository, path);
    repository.write(path, called(name));
    expect(await renew()).toEqual({ code: 0, stdout: '', stderr: expect.stringMatching(/^\S+\.snapshot\.json is renewed\n$/) });
    expect(await check()).toEqual(NEW);
    repository.branch('own');
    repository.commit('A contract of our own');
    expect(await check()).toEqual(NEW);
    repository.push();
    expect(await check()).toEqual({ code: 0, stdout: '', stderr: 'the contract is the same\n' });
  });

  test('has each with its own history', async () => {
    using repository = copyOf(several);
    const refused = await at(repository, 'platform/contract.ts').check();
    expect(refused).toMatchObject(REFUSED);
    expect(refused.stdout).toMatch(/^order\.placed \(in [0-9a-f]+ Give it a name\)\n {2}channel +desk/m);
  });

  test('takes a copy for another one, whatever its name is', async () => {
    using repository = await contractRepository();
    for (const [path, name] of [
      ['copy.ts', 'shop'],
      ['news.ts', 'news'],
    ] as const) {
      await at(repository, path).write(called(name).replace(...BREAK));
      expect(await at(repository, path).check()).toMatchObject(NEW);
    }
    repository.branch('copies');
    repository.commit('Two more');
    for (const path of ['copy.ts', 'news.ts']) expect(await at(repository, path).check()).toMatchObject(NEW);
  });

  test('asks which of two of one name has moved', async () => {
    using repository = await contractRepository();
    const big = (count: number) => {
      const event =
        "'order.made': { on: ['order'], description: 'N', data: z.strictObject({ order_id: id }), examples: [{ order_id: 'o1' }] },";
      const more = Array.from({ length: count }, (_, index) =>
        event.replace('order.made', `order.made${index}`).replace("'N'", `'${index} of many.'`),
      );
      return CONTRACT.replace("    'order.placed'", `${more.join('\n')}\n    'order.placed'`);
    };
    for (const path of ['a.ts', 'b.ts']) await at(repository, path).write(big(60));
    for (const path of ['contract.ts', 'contract.snapshot.json']) repository.remove(path);
    expect(await at(repository, 'a.ts').check()).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^courier: a\.snapshot\.json or b\.snapshot\.json may have been contract\.snapshot\.json in /),
    });
    expect(await at(repository, 'a.ts').renew('--against', 'HEAD:contract.snapshot.json')).toMatchObject(PASSED);
  });
});
