/** `courier contract export`: writes the contract for machines. */
import { writeFileSync } from 'node:fs';
import { asyncApiDocument } from '../../src/contract/asyncapi.ts';
import type { Contract } from '../../src/contract/contract.ts';
import { contractDocument } from '../../src/contract/document.ts';
import { loadContract } from '../../src/contract-file.ts';
import { contractHash, VERSION } from '../../src/version.ts';
import { pythonOf } from '../contract/python.ts';
import { reactHooksOf } from '../contract/react.ts';
import { typescriptOf } from '../contract/typescript.ts';
import { jsonText } from './json-text.ts';
import { print, tell } from './output.ts';

/** In the form of a contract's snapshot. */
export function snapshotText(contract: Contract): string {
  return jsonText(contractDocument(contract));
}

const FORMATTERS = {
  'json-schema': snapshotText,
  asyncapi: (contract: Contract) =>
    jsonText(asyncApiDocument(contractDocument(contract), { version: VERSION, contractHash: contractHash(contract) })),
  typescript: (contract: Contract) => typescriptOf(contractDocument(contract), contractHash(contract)),
  react: (contract: Contract) =>
    reactHooksOf(contractDocument(contract), { contract: './events.ts', hooks: '@lumiere/courier-client/react' }),
  python: (contract: Contract) => pythonOf(contractDocument(contract), contractHash(contract)),
} as const satisfies Record<string, (contract: Contract) => string>;

export type ContractFormat = keyof typeof FORMATTERS;
export const CONTRACT_FORMATS = Object.keys(FORMATTERS) as ContractFormat[];

export interface ExportOptions {
  readonly format: ContractFormat;
  readonly output?: string | undefined;
  readonly contract?: string | undefined;
}

/** Prints the contract, or writes it to a file when the text is complete, as the command line itself may import that file. */
export async function exportContract({ format, output, contract }: ExportOptions): Promise<void> {
  const text = FORMATTERS[format](await loadContract(contract));
  if (output === undefined) {
    for (const line of text.trimEnd().split('\n')) await print(line);
  } else {
    writeFileSync(output, text);
    tell(`${output} is written`);
  }
}
