/** What a machine of continuous integration has of the history: the gate finds what is there, and passes nothing that it cannot see. */
import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { ago, BREAK, COMPATIBLE, CONTRACT, contractRepository, type Repository } from '../../helpers/contract-repository.ts';

const PASSED = { code: 0 };
const SAME = { code: 0, stdout: '', stderr: 'the contract is the same\n' };
const REFUSED = { code: 1 };
const WHY = ['--breaking', 'Desks see orders from the start.'] as const;
const UNSEEN = {
  code: 2,
  stdout: '',
  stderr: expect.stringMatching(/^courier: this clone is shallow, .*git fetch --unshallow, or fetch-depth: 0 [^\n]*--against\n$/),
};

/** A break on main with its snapshot renewed, as somebody does who does not want to be asked. */
async function broken(): Promise<Repository> {
  const repository = await contractRepository();
  repository.change(BREAK);
  await repository.overwriteSnapshot();
  repository.commit('Let desks see orders');
  return repository;
}

/** Commits so many other forms of a file, one after the other. */
function commitMany(repository: Repository, count: number, text: (index: number) => string, path = 'contract.snapshot.json'): void {
  const data = (content: string) => `data ${Buffer.byteLength(content)}\n${content}\n`;
  const commits = Array.from({ length: count }, (_, index) => {
    const parent = index === 0 ? 'from refs/heads/main^0\n' : '';
    const file = `M 100644 inline ${path}\n${data(text(index))}`;
    return `commit refs/heads/main\ncommitter t <t@localhost> ${1_700_000_000 + index} +0000\n${data(`Step ${index}`)}${parent}${file}`;
  });
  execFileSync('git', ['-C', repository.path, 'fast-import', '--quiet'], { input: commits.join('') });
  repository.push();
}

describe('a shallow clone', () => {
  test('is an error, as the break may be in what it does not have', async () => {
    using repository = await broken();
    expect(await repository.clone().check()).toMatchObject(REFUSED);
    repository.remove('clone');
    const clone = repository.clone('--depth', '1');
    expect(await clone.check()).toMatchObject(UNSEEN);
    expect(await clone.renew()).toMatchObject({ ...UNSEEN, code: 2 });
    expect(await clone.check('--against', 'HEAD')).toMatchObject(PASSED);
    clone.write('earlier.json', repository.git('show', 'HEAD^:contract.snapshot.json'));
    expect(await clone.check('--against', 'earlier.json')).toMatchObject(REFUSED);
    clone.git('fetch', '--quiet', '--unshallow');
    expect(await clone.check()).toMatchObject(REFUSED);
  });

  test('of a commit alone, without a branch, as of a pull request', async () => {
    using repository = await broken();
    const clone = repository.clone('--depth', '1');
    clone.git('switch', '--quiet', '--detach');
    clone.git('update-ref', '-d', 'refs/heads/main');
    clone.git('remote', 'remove', 'origin');
    expect(await clone.check()).toMatchObject(UNSEEN);
  });

  test('without what a branch and main have in common', async () => {
    using repository = await contractRepository();
    repository.branch('desks');
    repository.change(BREAK);
    await repository.overwriteSnapshot();
    repository.commit('Let desks see orders');
    expect(await repository.clone('--depth', '1', '--no-single-branch').check()).toMatchObject(UNSEEN);
  });

  test('does where it reaches to the release that served when the oldest event was stored', async () => {
    using repository = await contractRepository();
    repository.release('v1.0.0', ago(90));
    repository.commit('Before');
    repository.release('v1.1.0', ago(30));
    for (const name of ['One', 'Two']) repository.commit(name);
    expect(await repository.clone('--depth', '2').check()).toMatchObject(UNSEEN);
    repository.remove('clone');
    const clone = repository.clone('--depth', '3');
    expect(await clone.check()).toEqual(SAME);
    expect(await clone.check('--retention-days', '60')).toMatchObject(UNSEEN);
    clone.change(BREAK);
    await clone.overwriteSnapshot();
    clone.commit('Let desks see orders');
    expect(await clone.check()).toMatchObject(REFUSED);
  });
});

describe('a clone', () => {
  test('of a contract that has one commit passes', async () => {
    using repository = await contractRepository();
    expect(await repository.clone().check()).toEqual(SAME);
    repository.git('update-ref', '-d', 'refs/remotes/origin/main');
    expect(await repository.check()).toEqual(SAME);
  });

  test('of a contract that is newer than the release passes, with it on a branch and on main', async () => {
    using repository = await contractRepository();
    repository.release('v1.0.0');
    repository.branch('news');
    repository.write('news.ts', CONTRACT.replace("name: 'shop'", "name: 'news'"));
    expect(await repository.courier(['renew', '--contract', 'news.ts'])).toMatchObject(PASSED);
    repository.commit('News');
    const check = () => repository.courier(['check', '--contract', 'news.ts']);
    expect(await check()).toMatchObject({ code: 0, stderr: expect.stringContaining('no earlier commit has this contract') });
    repository.push();
    expect(await check()).toEqual(SAME);
  });

  test('with HEAD detached is compared as the commit that it is', async () => {
    using repository = await broken();
    const clone = repository.clone();
    clone.git('switch', '--quiet', '--detach', 'HEAD');
    expect(await clone.check()).toMatchObject(REFUSED);
    clone.git('switch', '--quiet', '--detach', 'HEAD^');
    expect(await clone.check()).toEqual(SAME);
  });

  test('of one branch has each commit compared with its parent, and is told', async () => {
    using repository = await contractRepository();
    repository.branch('desks');
    repository.change(BREAK);
    await repository.overwriteSnapshot();
    repository.commit('Let desks see orders');
    repository.git('switch', '--quiet', 'main');
    const clone = repository.clone('--single-branch', '--branch', 'desks');
    clone.git('switch', '--quiet', '--detach');
    expect(await clone.check()).toMatchObject(REFUSED);
    expect(await clone.renew(...WHY)).toMatchObject(PASSED);
    clone.commit('Say why');
    const told = expect.stringMatching(/^courier: there is no origin\/main to compare a branch with: each commit was compared/);
    expect(await clone.check()).toMatchObject({ code: 0, stderr: told });
  });

  test('of a fork whose main is behind needs no line twice', async () => {
    using repository = await contractRepository();
    repository.change(BREAK);
    expect(await repository.renew(...WHY)).toMatchObject(PASSED);
    repository.commit('Let desks see orders');
    repository.branch('gifts');
    repository.change(COMPATIBLE);
    expect(await repository.renew()).toMatchObject(PASSED);
    repository.commit('Gifts');
    expect(await repository.check()).toMatchObject({ code: 0, stderr: 'breaking changes: 1, all of them in the ledger; compatible: 1\n' });
  });

  test('that git refuses to read, as it is of another user, is an error', async () => {
    using repository = await contractRepository();
    const env = { GIT_TEST_ASSUME_DIFFERENT_OWNER: '1' };
    expect(await repository.courier(['check', '--contract', 'contract.ts'], repository.path, env)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^courier: the git history cannot be read: .*dubious ownership.*\n$/),
    });
  });
});

describe('a long history', () => {
  test('is looked at to its beginning', async () => {
    using repository = await broken();
    const text = repository.read('contract.snapshot.json');
    commitMany(repository, 301, (index) => `${text}${' '.repeat(index + 1)}`);
    const refused = await repository.check();
    expect(refused).toMatchObject(REFUSED);
    expect(refused.stdout).toContain('Let desks see orders');
  });

  test('of other snapshots is passed over', async () => {
    using repository = await contractRepository();
    repository.git('switch', '--quiet', '--orphan', 'tables');
    repository.commit('Nothing yet');
    repository.git('branch', '--force', 'main');
    commitMany(repository, 1001, String, 'tables/snapshot.json');
    repository.git('switch', '--quiet', 'main');
    repository.write('contract.ts', CONTRACT);
    expect(await repository.renew()).toMatchObject(PASSED);
    expect(await repository.check()).toMatchObject({ code: 0, stderr: expect.stringContaining('no earlier commit has this contract') });
    repository.commit('The contract');
    repository.push();
    expect(await repository.check()).toEqual(SAME);
    repository.change(BREAK);
    expect(await repository.check()).toMatchObject(REFUSED);
  });

  test('that is too long is an error until there is a release', async () => {
    using repository = await contractRepository();
    const text = repository.read('contract.snapshot.json');
    commitMany(repository, 1001, (index) => `${text}${' '.repeat(index + 1)}`);
    const tooLong = { code: 2, stderr: expect.stringMatching(/^courier: more than 1000 commits changed the contract .*tag a release/) };
    expect(await repository.check()).toMatchObject(tooLong);
    expect(await repository.check('--against', 'HEAD')).toMatchObject(PASSED);
    repository.write('contract.snapshot.json', text);
    repository.commit('Go on');
    repository.release('v1.0.0');
    repository.commit('On');
    repository.push();
    expect(await repository.check()).toEqual(SAME);
  });
});
