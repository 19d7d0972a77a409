/** How long stored events have to be read: the gate looks back as far as retention does, and further where nobody knows what was served. */
import { describe, expect, test } from 'vitest';
import { ago, contractRepository, type Repository } from '../../helpers/contract-repository.ts';
import { from, OLD, raise, refusal, WHY, WIDER } from '../../helpers/contract-versions.ts';

const PASSED = { code: 0 };

describe('an upcast', () => {
  /** Version 2 since so many days, by the ledger and by git; released at once. */
  async function raised(said: number, committed: number): Promise<Repository> {
    const repository = await contractRepository();
    repository.release('v1.0.0', ago(90));
    repository.change(WIDER);
    raise(repository, 2, from(1));
    await repository.renew(...WHY);
    repository.write('contract.ledger.jsonl', repository.read('contract.ledger.jsonl').replace(/"date":"[^"]*"/, `"date":"${ago(said)}"`));
    repository.commit('Let shares be more', ago(committed));
    repository.push();
    repository.git('tag', 'v2.0.0');
    raise(repository, 2);
    return repository;
  }

  test('may go when retention can hold no event of its version any more', async () => {
    using repository = await raised(10, 10);
    expect((await repository.check('--retention-days', '30')).stdout).toContain('no upcast from 1');
    expect(await repository.renew('--retention-days', '30')).toMatchObject({ code: 1 });
    expect(
      await repository.courier(['check', '--contract', 'contract.ts'], repository.path, { COURIER_RETENTION_DAYS: '30' }),
    ).toMatchObject({ code: 1 });
    expect(await repository.renew()).toMatchObject(PASSED);
    expect(await repository.check()).toMatchObject(PASSED);
    repository.branch('tidy');
    repository.commit('Tidy up');
    expect(await repository.check()).toMatchObject(PASSED);
  });

  test.each([
    ['it is too early', 3, 3],
    ['the ledger has a date of long before the change', 30, 1],
    ['the ledger says that it was yesterday', 1, 30],
  ])('may not go while %s', async (_, said, committed) => {
    using repository = await raised(said, committed);
    expect(await repository.renew()).toMatchObject({ code: 1, stdout: expect.stringContaining('no upcast from 1') });
    await repository.overwriteSnapshot();
    expect(await repository.check()).toMatchObject({ code: 1, stdout: expect.stringContaining('no upcast from 1') });
  });

  test('may not go before the branch that brings the version is merged, and every version needs its own', async () => {
    using repository = await raised(10, 10);
    repository.git('update-ref', 'refs/remotes/origin/main', 'v1.0.0');
    await repository.overwriteSnapshot();
    expect(await repository.check()).toMatchObject({ code: 1, stdout: expect.stringContaining('no upcast from 1') });
    repository.push();
    repository.branch('third');
    raise(repository, 3, from(1));
    expect(await repository.renew()).toMatchObject({ code: 1, stdout: expect.stringContaining('no upcast from 2') });
    raise(repository, 3, from(1), from(2, OLD.replace('max(1)', 'max(2)')));
    expect(await repository.renew()).toMatchObject(PASSED);
    expect(await repository.check()).toMatchObject(PASSED);
  });

  test('may not go while the last release publishes its version, and then counts from the release that does not', async () => {
    using repository = await raised(60, 60);
    repository.git('tag', '--delete', 'v2.0.0');
    const refused = { code: 1, stdout: expect.stringContaining('no upcast from 1') };
    expect(await repository.renew()).toMatchObject(refused);
    repository.git('stash', '--quiet');
    repository.release('v2.0.0', ago(3));
    repository.git('stash', 'pop', '--quiet');
    expect(await repository.renew()).toMatchObject(refused);
    repository.git('tag', '--delete', 'v2.0.0');
    repository.release('v2.0.0', ago(10));
    expect(await repository.renew('--retention-days', '30')).toMatchObject(refused);
    expect(await repository.renew()).toMatchObject(PASSED);
    expect(await repository.check()).toMatchObject(PASSED);
  });

  test('may not go while a release of a branch that was merged publishes its version', async () => {
    using repository = await raised(60, 60);
    repository.git('stash', '--quiet');
    repository.git('switch', '--quiet', '-c', 'mended', 'v1.0.0');
    repository.commit('Mend the first release');
    repository.release('v1.0.1', ago(3));
    repository.git('switch', '--quiet', 'main');
    repository.git('merge', '--quiet', '--no-ff', '--strategy=ours', '-m', 'Merge what was mended', 'mended');
    repository.push();
    repository.git('stash', 'pop', '--quiet');
    expect(await repository.renew()).toMatchObject({ code: 1, stdout: expect.stringContaining('no upcast from 1') });
  });

  test('counts from the line where nothing was released, and not from before the first release', async () => {
    using repository = await raised(60, 60);
    repository.git('tag', '--delete', 'v1.0.0', 'v2.0.0');
    expect(await repository.renew()).toMatchObject(PASSED);
    repository.release('v1.0.0', ago(3));
    await repository.overwriteSnapshot();
    expect(await repository.check()).toMatchObject({ code: 1, stdout: expect.stringContaining('no upcast from 1') });
  });
});

describe('a type that comes again', () => {
  const REMOVED = / {4}'order\.placed': \{[\s\S]*?\n {4}\},\n/;

  /** Removed with its line, and released without it so many days ago. */
  async function removed(days: number, ...releases: readonly string[]): Promise<Repository> {
    const repository = await contractRepository();
    for (const release of releases) repository.release(release, ago(90));
    const source = repository.read('contract.ts');
    repository.write('contract.ts', source.replace(REMOVED, ''));
    expect(await repository.renew('--breaking', 'Orders only ship.')).toMatchObject(PASSED);
    repository.commit('Place no orders');
    repository.push();
    repository.release('v1.1.0', ago(days));
    repository.commit('Go on');
    repository.push();
    repository.write('contract.ts', source);
    return repository;
  }

  const other = (repository: Repository) => {
    repository.edit('contract.ts', 'share: z.number().min(0).max(1)', 'share: z.string()');
    repository.edit('contract.ts', 'share: 0.5', "share: '0.5'");
  };

  test.each([
    ['a release', ['v1.0.0']],
    ['commits before the first release', []],
  ])('is read with events of %s in the log', async (_, releases) => {
    using repository = await removed(3, ...releases);
    expect(await repository.renew()).toMatchObject(PASSED);
    expect(await repository.check()).toMatchObject(PASSED);
    other(repository);
    expect(await repository.renew()).toMatchObject({ code: 1, stdout: expect.stringContaining('still version 1') });
    await repository.overwriteSnapshot();
    expect(await repository.check()).toMatchObject({ code: 1, stdout: expect.stringContaining('still version 1') });
    repository.edit('contract.ts', "share: '0.5' }],", "share: '0.5' }], version: 2, upcast: {},");
    expect((await repository.check()).stdout).toContain('no upcast from 1');
    repository.edit('contract.ts', 'upcast: {}', `upcast: { ${from(1, OLD, '(old) => ({ ...old, share: String(old.share) })')} }`);
    expect(await repository.renew()).toMatchObject(PASSED);
    expect(await repository.check()).toMatchObject(PASSED);
  });

  test('is a new one when retention can hold no event of it any more', async () => {
    using repository = await removed(10, 'v1.0.0');
    other(repository);
    expect(await repository.renew('--retention-days', '30')).toMatchObject({ code: 1, stdout: expect.stringContaining('still version 1') });
    expect(await repository.renew()).toMatchObject(PASSED);
    expect(await repository.check()).toMatchObject(PASSED);
  });

  test('is read though the whole contract was away', async () => {
    using repository = await contractRepository();
    const files = ['contract.ts', 'contract.snapshot.json'].map((path) => [path, repository.read(path)] as const);
    for (const [path] of files) repository.remove(path);
    repository.commit('No contract');
    repository.release('v1.0.0');
    repository.commit('Go on');
    repository.push();
    for (const [path, text] of files) repository.write(path, text);
    expect(await repository.check()).toMatchObject({ code: 0, stderr: expect.stringContaining('nothing but stored events') });
    other(repository);
    expect(await refusal(repository)).toContain('still version 1');
  });
});
