/** `courier contract`: writes the contract for machines, and compares it with an earlier version. */
import { execFile } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { asyncApiDocument } from '../../src/contract/asyncapi.ts';
import type { Contract } from '../../src/contract/contract.ts';
import { contractDocument } from '../../src/contract/document.ts';
import { loadContract } from '../../src/contract-file.ts';
import { contractHash, VERSION } from '../../src/version.ts';
import { type ContractChange, contractChanges, isBreaking, parseContractDocument } from '../contract/compatibility.ts';
import { pythonOf } from '../contract/python.ts';
import { reactHooksOf } from '../contract/react.ts';
import { typescriptOf } from '../contract/typescript.ts';
import { printAffected } from './contract-users.ts';
import { CliError, EXIT } from './errors.ts';
import { jsonText } from './json-text.ts';
import type { Line } from './line.ts';
import { print, tell } from './output.ts';
import { rowLines } from './table.ts';

const FORMATTERS = {
  'json-schema': (contract: Contract) => jsonText(contractDocument(contract)),
  asyncapi: (contract: Contract) =>
    jsonText(asyncApiDocument(contractDocument(contract), { version: VERSION, contractHash: contractHash(contract) })),
  typescript: (contract: Contract) => typescriptOf(contractDocument(contract), contractHash(contract)),
  react: (contract: Contract) =>
    reactHooksOf(contractDocument(contract), { contract: './contract.ts', hooks: '@lumiere/courier-client/react' }),
  python: (contract: Contract) => pythonOf(contractDocument(contract), contractHash(contract)),
} as const satisfies Record<string, (contract: Contract) => string>;

export type ContractFormat = keyof typeof FORMATTERS;
export const CONTRACT_FORMATS = Object.keys(FORMATTERS) as ContractFormat[];

/** The exit code of a check that finds the snapshot out of date, and no breaking change. */
export const EXIT_OUT_OF_DATE = 4;

/** The contract that was last agreed on, in the form that `courier contract export` prints. */
export const SNAPSHOT = 'src/contracts/lumiere/contract.snapshot.json';
const ROOT = dirname(findPackageJSON(import.meta.url) as string);
const RENEW = `courier contract export --output ${SNAPSHOT}`;

export interface ExportOptions {
  readonly format: ContractFormat;
  readonly output?: string | undefined;
  readonly contract?: string | undefined;
}

/** Prints the contract, or writes it to a file when the text is complete, as the command line itself may import that file. */
export async function exportContract({ format, output, contract }: ExportOptions): Promise<void> {
  const text = FORMATTERS[format](await loadContract(contract));
  if (output !== undefined) writeFileSync(output, text);
  else for (const line of text.trimEnd().split('\n')) await print(line);
}

export interface CheckOptions {
  readonly against?: string | undefined;
  readonly contract?: string | undefined;
  readonly json?: boolean | undefined;
  /** The gateway that knows whom a change breaks, and a token for it. */
  readonly gateway?: string | undefined;
  readonly token?: string | undefined;
}

/** @throws {CliError} with EXIT.failed for breaking changes, EXIT_OUT_OF_DATE, or EXIT.usage for nothing to compare with. */
export async function checkContract({ against, contract: path, json, gateway, token }: CheckOptions): Promise<void> {
  const contract = await loadContract(path);
  const text = against === undefined ? snapshot() : await textOf(against);
  if (text === undefined) throw new CliError(`there is no ${SNAPSHOT} to compare with: ${RENEW}`, EXIT.usage);
  const earlier = parsed(against ?? SNAPSHOT, text);
  const changes = contractChanges(earlier, contractDocument(contract));
  const lines = json ? changes.map((change) => JSON.stringify(change)) : tableOf(changes);
  for (const line of lines) await print(line);
  if (gateway !== undefined) await printAffected(changes, contractHash(contract), { url: gateway, token, json });
  const breaking = changes.filter(isBreaking).length;
  if (breaking > 0) {
    const renewal = against === undefined ? `; if they are meant, renew the snapshot: ${RENEW}` : '';
    throw new CliError(`breaking changes: ${breaking}, compatible: ${changes.length - breaking}${renewal}`);
  }
  if (snapshot() !== FORMATTERS['json-schema'](contract))
    throw new CliError(`nothing breaks, but ${SNAPSHOT} is out of date: ${RENEW}`, EXIT_OUT_OF_DATE);
  tell(changes.length === 0 ? 'the contract is the same' : `compatible changes: ${changes.length}`);
}

/** One line for each change, below its subject. */
function tableOf(changes: readonly ContractChange[]): Line[] {
  const [head, ...lines] = rowLines(changes.map(({ subject: _, ...row }) => row));
  if (head === undefined) return [];
  const body = changes.flatMap((change, index): Line[] => {
    const line = `  ${lines[index]}`;
    const shown = isBreaking(change) ? { style: 'red' as const, text: line } : line;
    return change.subject === changes[index - 1]?.subject ? [shown] : [change.subject, shown];
  });
  return [`  ${head}`, ...body];
}

function snapshot(): string | undefined {
  try {
    return readFileSync(join(ROOT, SNAPSHOT), 'utf8');
  } catch {
    return undefined;
  }
}

/** The text of a file, or else the snapshot at a git ref. */
async function textOf(against: string): Promise<string> {
  try {
    if (statSync(against, { throwIfNoEntry: false })?.isFile()) return readFileSync(against, 'utf8');
  } catch (error) {
    throw new CliError(`--against: ${messageOf(error)}`, EXIT.usage);
  }
  try {
    const { stdout } = await git('-C', ROOT, 'show', '--end-of-options', `${against}:./${SNAPSHOT}`);
    return stdout;
  } catch (error) {
    const reason = (error as { stderr?: string }).stderr?.trim().split('\n')[0] || messageOf(error);
    throw new CliError(`--against: ${JSON.stringify(against)} is no file, and no git ref with a snapshot: ${reason}`, EXIT.usage);
  }
}

/** A bound that no contract reaches. */
const MAX_BYTES = 64 * 1024 * 1024;

function git(...args: string[]): Promise<{ stdout: string }> {
  return promisify(execFile)('git', args, { maxBuffer: MAX_BYTES });
}

function parsed(name: string, text: string) {
  try {
    return parseContractDocument(text);
  } catch (error) {
    throw new CliError(`${name} is no contract: ${messageOf(error)}`, EXIT.usage);
  }
}

/** The message of an error on one line. */
function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ');
}
