/** What this Courier is: the version of its package; and the name of the contract that it serves. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { canonicalJson } from './contract/canonical.ts';
import type { Contract } from './contract/contract.ts';
import { type ContractDocument, contractDocument } from './contract/document.ts';

/** The version of Courier, as its package says. */
export const VERSION: string = JSON.parse(readFileSync(findPackageJSON(import.meta.url) as string, 'utf8')).version;

const hashes = new WeakMap<Contract, string>();

/** Names a contract: 16 hexadecimal digits, the start of the SHA-256 of its canonical JSON. */
export function contractHash(contract: Contract): string {
  let hash = hashes.get(contract);
  if (hash === undefined) {
    hash = documentHash(contractDocument(contract));
    hashes.set(contract, hash);
  }
  return hash;
}

/** The same of the contract for machines. */
export function documentHash(document: ContractDocument): string {
  return createHash('sha256').update(canonicalJson(document)).digest('hex').slice(0, 16);
}
