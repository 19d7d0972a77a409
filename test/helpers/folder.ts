/** A temporary folder that is gone at the end of the scope. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemporaryFolder } from '../../scripts/temporary.ts';

/** @param parent where it is made; where the system has such folders when absent. */
export function temporaryFolder(parent?: string): Disposable & { readonly path: string; file(name: string): string } {
  const path = parent === undefined ? makeTemporaryFolder('test') : mkdtempSync(join(parent, 'courier-test-'));
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
