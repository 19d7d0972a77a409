/** What this Courier is: the version of its package, and the contract that it keeps. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { canonicalJson } from './contract/canonical.ts';
import { contractDocument } from './contract/document.ts';

/** The version of Courier, as its package says. */
export const VERSION: string = JSON.parse(readFileSync(findPackageJSON(import.meta.url) as string, 'utf8')).version;

/** Names the contract: 16 hexadecimal digits, the start of the SHA-256 of its canonical JSON. */
export const CONTRACT_HASH: string = createHash('sha256').update(canonicalJson(contractDocument())).digest('hex').slice(0, 16);
