/** `courier contract check`: says whether a change of the contract may go in. */
import { contractHash } from '../../src/version.ts';
import { type ContractChange, isBreaking } from '../contract/change.ts';
import { shown, textOf } from '../contract/gate/files.ts';
import type { Judgement } from '../contract/gate/judge.ts';
import { nameOf } from '../contract/gate/ledger.ts';
import { snapshotText } from './contract.ts';
import { type Judged, type JudgementOptions, judged, printChanges, renewal } from './contract-judgement.ts';
import { printAffected } from './contract-users.ts';
import { CliError, EXIT } from './errors.ts';
import { explain } from './explain.ts';
import { tell } from './output.ts';

/** The exit code of a check that finds the snapshot out of date, and no change that is refused. */
export const EXIT_OUT_OF_DATE = 4;
/** That of a check that passes, and does not learn from the gateway whom the changes break. */
export const EXIT_NOT_ASKED = 5;

/** What its help says beyond the options. */
export const CHECK_HELP = `
A breaking change needs its line in the ledger, which \`courier contract renew --breaking "why"\` writes. Snapshot and ledger stand
beside the contract's file: contract.ts has contract.snapshot.json and contract.ledger.jsonl.

Exit codes: ${EXIT.ok} nothing breaks that the ledger does not say, ${EXIT.failed} something does, or stored events could not be read,
${EXIT.usage} there is nothing to compare with, or not the history to know, ${EXIT_OUT_OF_DATE} the snapshot is out of date: courier contract renew,
${EXIT_NOT_ASKED} it may go in, and the gateway of --gateway could not be asked. With ${EXIT.failed} and ${EXIT_OUT_OF_DATE} that is only told, below the verdict.

It needs the git history: a shallow clone is refused that lacks some of it (git fetch --unshallow; fetch-depth: 0 in GitHub's checkout).

Example:
  courier contract check --contract ./contract.ts`;

export interface CheckOptions extends JudgementOptions {
  readonly json?: boolean | undefined;
  /** The gateway that knows whom a change breaks, and a token for it. */
  readonly gateway?: string | undefined;
  readonly token?: string | undefined;
}

/**
 * Prints the verdict before it asks a gateway, and leaves the exit code to the process.
 *
 * @throws {CliError} with EXIT.usage for nothing to compare with, or no history to know; for a gateway that could not be asked with the
 * code of the verdict, or EXIT_NOT_ASKED when that passes.
 */
export async function checkContract(options: CheckOptions): Promise<void> {
  const { gateway, token, json } = options;
  const all = await judged(options);
  const { contract, judgement } = all;
  const { exitCode, line } = verdictOn(all);
  await printChanges(judgement, { json: json === true });
  for (const note of judgement.notes) tell(`courier: ${note}`);
  tell(exitCode === EXIT.ok ? line : `courier: ${line}`);
  process.exitCode = exitCode;
  if (gateway === undefined) return;
  try {
    await printAffected(breakingIn(judgement), contractHash(contract), { url: gateway, token, json });
  } catch (error) {
    const { message } = explain(error, { url: gateway, token });
    throw new CliError(`the gateway could not be asked whom it breaks: ${message}`, exitCode === EXIT.ok ? EXIT_NOT_ASKED : exitCode);
  }
}

/** @throws {CliError} */
function verdictOn({ contract, files, earlier, judgement }: Judged): { readonly exitCode: number; readonly line: string } {
  const renew = renewal(files);
  const snapshot = textOf(files.snapshot);
  if (snapshot === undefined && earlier.steps.length === 0)
    throw new CliError(`there is no ${shown(files.snapshot)} to compare with: ${renew}`, EXIT.usage);
  const { unnamed, refused } = judgement;
  if (unnamed.length + refused.length > 0) {
    const missing = unnamed.length > 0 ? [`not in the ledger: ${unnamed.length}; if they are meant: ${renew} --breaking "why"`] : [];
    const never = refused.length > 0 ? [`not to be excused by the ledger: ${refused.length}`] : [];
    return { exitCode: EXIT.failed, line: [summary(judgement), ...never, ...missing].join('; ') };
  }
  if (snapshot !== snapshotText(contract)) {
    const state = snapshot === undefined ? 'is gone' : 'is out of date';
    return { exitCode: EXIT_OUT_OF_DATE, line: `nothing breaks unsaid, but ${shown(files.snapshot)} ${state}: ${renew}` };
  }
  return { exitCode: EXIT.ok, line: judgement.changes.length === 0 ? 'the contract is the same' : summary(judgement) };
}

/** What breaks somebody now, and what broke somebody without a word. */
function breakingIn({ changes, unnamed }: Judgement): ContractChange[] {
  const known = new Set(changes.map(nameOf));
  return [...changes, ...unnamed.filter((change) => !known.has(nameOf(change)))].filter(isBreaking);
}

function summary({ changes, unnamed }: Judgement): string {
  const breaking = changes.filter(isBreaking);
  const earlier = unnamed.filter(({ since }) => since !== undefined).length;
  const all = breaking.length + earlier;
  const named = all > 0 && unnamed.length === 0 ? ', all of them in the ledger' : '';
  return `breaking changes: ${all}${named}; compatible: ${changes.length - breaking.length}`;
}
