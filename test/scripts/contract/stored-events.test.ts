/** Changes after which stored events could not be read: the gate refuses them, whatever the ledger says. */
import { describe, expect, test } from 'vitest';
import { ago, BREAK, COMPATIBLE, contractRepository, type Repository } from '../../helpers/contract-repository.ts';

const PASSED = { code: 0 };
const WHY = ['--breaking', 'Shares are of a whole that may be two.'] as const;
const EXAMPLES = "examples: [{ order_id: 'o1', share: 0.5 }],";
/** Breaks subscribers; publishers of the earlier form go on. */
const WIDER = ['max(1), note', 'max(2), note'] as const;
const OLD = 'z.strictObject({ order_id: id, share: z.number().min(0).max(1), note: text.optional() })';

function raise(repository: Repository, version: number, ...upcasts: readonly string[]): void {
  const source = repository.read('contract.ts').replace(/ version: \d+, upcast: \{.*\},\n/, '\n');
  const upcast = upcasts.map((text) => `${text}, `).join('');
  repository.write('contract.ts', source.replace(EXAMPLES, `${EXAMPLES} version: ${version}, upcast: { ${upcast}},`));
}

const from = (version: number, data = OLD, toPresent = '(old) => old') => `${version}: earlierVersion(${data}, ${toPresent})`;

async function refusal(repository: Repository) {
  const renewed = await repository.renew(...WHY);
  expect(renewed).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('nothing is renewed; what stored events or the ledger do not allow: 1'),
  });
  expect(repository.ledger()).toEqual([]);
  await repository.overwriteSnapshot();
  const checked = await repository.check();
  expect(checked).toMatchObject({ code: 1, stderr: expect.stringContaining('not to be excused by the ledger: 1') });
  return checked.stdout;
}

describe('data of another form', () => {
  test('needs another version', async () => {
    using repository = await contractRepository();
    repository.change(WIDER);
    expect(await refusal(repository)).toMatch(
      /version +still version 1 +- +breaking +stored events have another form \(data\.share: maximum 1 → maximum 2\): make it version 2, with an upcast from 1/,
    );
  });

  test('needs a way from the earlier version', async () => {
    using repository = await contractRepository();
    repository.change(WIDER);
    raise(repository, 2);
    expect(await refusal(repository)).toMatch(/upcasts +no upcast from 1 +- +breaking +stored events of version 1 cannot be read/);
  });

  test.each([
    [
      'refuses what was stored',
      from(1, OLD.replace('max(1)', 'max(0.9)')),
      'it refuses data that version 1 had (data.share: maximum 1 → maximum 0.9)',
    ],
    [
      'does not know a field',
      from(1, OLD.replace(', note: text.optional()', '')),
      'it refuses data that version 1 had (data.note: optional field removed)',
    ],
    [
      'makes nothing of it',
      from(1, OLD, '() => { throw new Error(); }'),
      'its upcast failed with Error, from the example of version 1: {"order_id":"o1","share":0.5}',
    ],
    ['makes what is refused', from(1, OLD, "(old) => ({ ...old, share: '1' } as never)"), 'refuses (data.share: invalid_type)'],
  ])('needs one that does not only look like a way: it %s', async (_, upcast, reason) => {
    using repository = await contractRepository();
    repository.change(WIDER);
    raise(repository, 2, upcast);
    expect(await refusal(repository)).toContain(reason);
  });

  test('passes with its version, its upcast and its line', async () => {
    using repository = await contractRepository();
    repository.branch('wider');
    repository.change(WIDER);
    raise(repository, 2, from(1));
    expect(await repository.renew()).toMatchObject({ code: 1 });
    expect(await repository.renew(...WHY)).toMatchObject(PASSED);
    expect(repository.ledger()[0].changes).toMatchObject([{ path: 'data.share' }, { path: 'version', change: 'version 1 → 2' }]);
    repository.commit('Let shares be more');
    expect(await repository.check()).toMatchObject(PASSED);
    repository.push();
    expect(await repository.check()).toMatchObject(PASSED);
    expect(JSON.parse(repository.read('contract.snapshot.json'))['x-types']['order.placed']).toMatchObject({ version: 2, upcasts: [1] });
  });

  test('is found where no schema says it', async () => {
    using repository = await contractRepository();
    repository.edit('contract.ts', 'note: text.optional() })', 'note: text.optional() }).refine(({ share }) => share !== 0.5)');
    repository.edit('contract.ts', EXAMPLES, EXAMPLES.replace('0.5', '0.6'));
    expect(await refusal(repository)).toContain('stored events have another form (the example {"order_id":"o1","share":0.5} is refused)');
  });

  test('is needed for no change of channels, and for none that breaks nobody', async () => {
    using repository = await contractRepository();
    repository.change(BREAK);
    repository.change(COMPATIBLE);
    expect(await repository.renew(...WHY)).toMatchObject(PASSED);
    expect(await repository.check()).toMatchObject(PASSED);
  });

  test('on main a change without version is found later, and mended by one', async () => {
    using repository = await contractRepository();
    repository.change(WIDER);
    await repository.overwriteSnapshot();
    repository.commit('Let shares be more');
    repository.push();
    expect((await repository.check()).stdout).toContain('still version 1');
    raise(repository, 2, from(1, OLD.replace('max(1)', 'max(2)')));
    expect(await repository.renew(...WHY)).toMatchObject(PASSED);
    repository.commit('Say how to read them');
    repository.push();
    expect(await repository.check()).toMatchObject(PASSED);
  });
});

describe('a version', () => {
  test('may go up without a change, which is told', async () => {
    using repository = await contractRepository();
    raise(repository, 2, from(1));
    expect(await repository.renew()).toMatchObject(PASSED);
    expect(repository.ledger()).toEqual([]);
    expect(await repository.check()).toMatchObject({
      code: 0,
      stderr: 'courier: order.placed: its version went up, and nothing of its data breaks\nbreaking changes: 0; compatible: 2\n',
    });
  });

  test('never goes down, nor does a type begin again', async () => {
    using repository = await contractRepository();
    const first = repository.read('contract.ts');
    raise(repository, 2, from(1));
    await repository.renew();
    const second = repository.read('contract.ts');
    repository.commit('Version 2');
    repository.push();
    repository.write('contract.ts', first);
    expect(await refusal(repository)).toMatch(/version 2 → 1 +- +breaking +stored events of version 2 cannot be read: make it version 3/);
    repository.write('contract.ts', first.replaceAll("'order.placed'", "'order.made'"));
    expect(await repository.renew('--breaking', 'The word is made.')).toMatchObject(PASSED);
    repository.commit('Another word');
    repository.push();
    repository.write('contract.ts', first);
    expect((await repository.renew('--breaking', 'It was not.')).stdout).toMatch(/^ {2}version +version 2 → 1/m);
    repository.write('contract.ts', second);
    expect(await repository.renew('--breaking', 'It was not.')).toMatchObject(PASSED);
    expect(await repository.check()).toMatchObject(PASSED);
  });
});

describe('an upcast', () => {
  /** Version 2 since so many days, by the ledger and by git; released at once. */
  async function raised(said: number, committed: number): Promise<Repository> {
    const repository = await contractRepository();
    repository.git('tag', 'v1.0.0');
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
