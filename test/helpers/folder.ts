/** A temporary folder that is gone at the end of the scope. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** @param parent where it is made. */
export function temporaryFolder(parent = tmpdir()): Disposable & { readonly path: string; file(name: string): string } {
  const path = mkdtempSync(join(parent, 'courier-test-'));
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
