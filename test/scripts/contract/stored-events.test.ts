/** Changes after which stored events could not be read: the gate refuses them, whatever the ledger says. */
import { describe, expect, test } from 'vitest';
import { BREAK, COMPATIBLE, contractRepository } from '../../helpers/contract-repository.ts';
import { EXAMPLES, from, OLD, raise, refusal, WHY, WIDER } from '../../helpers/contract-versions.ts';

const PASSED = { code: 0 };

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
    [
      'makes what is refused',
      from(1, OLD, "(old) => ({ ...old, share: '1' } as never)"),
      /its upcast makes what the present schema refuses \(data\.share: invalid_type\), from the example/,
    ],
  ])('needs one that does not only look like a way: it %s', async (_, upcast, reason) => {
    using repository = await contractRepository();
    repository.change(WIDER);
    raise(repository, 2, upcast);
    expect(await refusal(repository)).toMatch(reason);
  });

  test('needs one that can be judged', async () => {
    using repository = await contractRepository();
    const snapshot = JSON.parse(repository.read('contract.snapshot.json'));
    snapshot['x-drafts']['order.placed'].properties.data.properties.note.contentEncoding = 'base64';
    repository.write('contract.snapshot.json', JSON.stringify(snapshot, null, 2));
    repository.commit('As another Courier says it');
    repository.push();
    repository.change(WIDER);
    raise(repository, 2, from(1));
    expect(await refusal(repository)).toMatch(
      /whether it takes the data of version 1 cannot be judged \(data\.note: changed .*; it says contentEncoding\): give earlierVersion the schema/,
    );
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
