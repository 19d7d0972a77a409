/** Uses in a file: what every store guarantees, and what becomes of files that are not as they should be. */
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { usageFile } from '../../src/usage/usage-file.ts';
import { clientOf, describeUsageStore, TODAY } from '../contracts/usage.ts';
import { temporaryFolder } from '../helpers/folder.ts';

const refuse = (error: unknown) => {
  throw error;
};

describeUsageStore('uses in a file', {
  isDurable: true,
  isShared: false,
  factory: () => {
    const folder = temporaryFolder();
    return {
      open: () => Promise.resolve(usageFile(folder.file('data/contract-users.json'), refuse)),
      [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
    };
  },
});

describe('the file', () => {
  test('is for its owner only, and nothing lies beside it', async () => {
    using folder = temporaryFolder();
    const path = folder.file('contract-users.json');
    writeFileSync(path, '[]', { mode: 0o644 });
    await usageFile(path, refuse).add([clientOf('ada', { 'named a': TODAY })], TODAY);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder.path)).toEqual(['contract-users.json']);
  });

  test.each(['{', '[{"sub":"ada"}]', '[{"client":null,"contract":null,"sub":"ada","role":"emperor","uses":{}}]'])(
    'that says %s is reported, and begun anew',
    async (text) => {
      using folder = temporaryFolder();
      const path = folder.file('contract-users.json');
      writeFileSync(path, text);
      const errors: unknown[] = [];
      const store = usageFile(path, (error) => errors.push(error));
      expect(errors.map(String)).toEqual([`Error: ${path} cannot be read: who used the contract is noted anew`]);
      await store.add([clientOf('ada', { 'named a': TODAY })], TODAY);
      expect(await usageFile(path, refuse).load(TODAY)).toHaveLength(1);
    },
  );

  test('that cannot be written does not lose what is known', async () => {
    using folder = temporaryFolder();
    const path = folder.file('contract-users.json');
    const store = usageFile(path, refuse);
    mkdirSync(`${path}.new`);
    await expect(store.add([clientOf('ada', { 'named a': TODAY })], TODAY)).rejects.toThrow('EISDIR');
    expect(await store.load(TODAY)).toHaveLength(1);
  });
});
