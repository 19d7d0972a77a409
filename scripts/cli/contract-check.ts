/** `courier contract check`: says whether a change of the contract may go in. */
import { contractHash } from '../../src/version.ts';
import { type ContractChange, isBreaking } from '../contract/change.ts';
import { shown, textOf } from '../contract/gate/files.ts';
import type { Judgement } from '../contract/gate/judge.ts';
import { nameOf } from '../contract/gate/ledger.ts';
import { snapshotText } from './contract.ts';
import { type JudgementOptions, judged, printChanges, renewal } from './contract-judgement.ts';
import { printAffected } from './contract-users.ts';
import { CliError, EXIT } from './errors.ts';
import { tell } from './output.ts';

/** The exit code of a check that finds the snapshot out of date, and no change that is refused. */
export const EXIT_OUT_OF_DATE = 4;

/** What its help says beyond the options. */
export const CHECK_HELP = `
A breaking change needs its line in the ledger, which \`courier contract renew --breaking "why"\` writes. Snapshot and ledger stand
beside the contract's file: contract.ts has contract.snapshot.json and contract.ledger.jsonl.

Exit codes: ${EXIT.ok} nothing breaks that the ledger does not say, ${EXIT.failed} something does, or stored events could not be read,
${EXIT.usage} there is nothing to compare with, or not the history to know, ${EXIT_OUT_OF_DATE} the snapshot is out of date: courier contract renew

It needs the git history: a shallow clone is refused that lacks some of it (git fetch --unshallow; fetch-depth: 0 in GitHub's checkout).

Example:
  courier contract check --contract ./contract.ts`;

export interface CheckOptions extends JudgementOptions {
  readonly json?: boolean | undefined;
  /** The gateway that knows whom a change breaks, and a token for it. */
  readonly gateway?: string | undefined;
  readonly token?: string | undefined;
}

/** @throws {CliError} with EXIT.failed for what may not go in, EXIT_OUT_OF_DATE, or EXIT.usage for nothing to compare with, or no history to know. */
export async function checkContract(options: CheckOptions): Promise<void> {
  const { contract, files, earlier, judgement } = await judged(options);
  const renew = renewal(files);
  const snapshot = textOf(files.snapshot);
  if (snapshot === undefined && earlier.steps.length === 0)
    throw new CliError(`there is no ${shown(files.snapshot)} to compare with: ${renew}`, EXIT.usage);
  await printChanges(judgement, { json: options.json === true });
  const { gateway, token, json } = options;
  if (gateway !== undefined) await printAffected(breakingIn(judgement), contractHash(contract), { url: gateway, token, json });
  for (const note of judgement.notes) tell(`courier: ${note}`);
  const { unnamed, refused } = judgement;
  if (unnamed.length + refused.length > 0) {
    const missing = unnamed.length > 0 ? [`not in the ledger: ${unnamed.length}; if they are meant: ${renew} --breaking "why"`] : [];
    const never = refused.length > 0 ? [`not to be excused by the ledger: ${refused.length}`] : [];
    throw new CliError([summary(judgement), ...never, ...missing].join('; '));
  }
  if (snapshot !== snapshotText(contract)) {
    const state = snapshot === undefined ? 'is gone' : 'is out of date';
    throw new CliError(`nothing breaks unsaid, but ${shown(files.snapshot)} ${state}: ${renew}`, EXIT_OUT_OF_DATE);
  }
  tell(judgement.changes.length === 0 ? 'the contract is the same' : summary(judgement));
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
