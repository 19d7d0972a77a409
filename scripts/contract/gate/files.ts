/** Where a contract's snapshot and ledger are: beside its file, by its name. */
import { existsSync, readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LUMIERE } from '../../../src/contract-file.ts';

export interface ContractFiles {
  /** The file of the contract. */
  readonly contract: string;
  /** The contract that was last agreed on, in the form that `courier contract export` prints. */
  readonly snapshot: string;
  /** The breaking changes that were meant, one on a line. */
  readonly ledger: string;
  /** As it is given to commands: ` --contract contract.ts`; empty for Lumiere's. */
  readonly option: string;
}

/** @param path of the contract's file, from the working directory; Lumiere's when undefined */
export function filesOf(path: string | undefined): ContractFiles {
  const contract = path === undefined ? fileURLToPath(LUMIERE) : resolve(path);
  const stem = contract.replace(/\.[^./\\]+$/, '');
  return {
    contract,
    snapshot: `${stem}.snapshot.json`,
    ledger: `${stem}.ledger.jsonl`,
    option: path === undefined ? '' : ` --contract ${quoted(path)}`,
  };
}

/** A path as a POSIX shell takes it for itself. */
export function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** The ledger that belongs to a snapshot. */
export function ledgerBeside(snapshot: string): string {
  return `${snapshot.replace(/(\.snapshot)?\.json$/, '')}.ledger.jsonl`;
}

/** Where the contract may be to which a snapshot belongs. */
export function contractsOf(snapshot: string): string[] {
  return ['ts', 'mts', 'cts', 'js', 'mjs', 'cjs'].map((extension) => snapshot.replace(/(\.snapshot)?\.json$/, `.${extension}`));
}

/** The text of a file; undefined when there is none. */
export function textOf(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** A path for people, from the working directory. */
export function shown(file: string): string {
  return relative(process.cwd(), file);
}
