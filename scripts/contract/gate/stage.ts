/** A contract as it was, with its ledger. */
import type { ContractDocument } from '../../../src/contract/document.ts';
import { parseContractDocument } from '../compatibility.ts';
import type { linesOf } from './ledger.ts';

export interface Stage {
  /** How people find it: a commit, a file. */
  readonly name: string;
  readonly document: ContractDocument;
  readonly ledger: ReturnType<typeof linesOf>;
}

/** There is nothing to compare with, and that is wrong. */
export class NoEarlierContract extends Error {
  override readonly name = 'NoEarlierContract';
}

export function parsedOrNothing(text: string): ContractDocument | undefined {
  try {
    return parseContractDocument(text);
  } catch {
    return undefined;
  }
}
