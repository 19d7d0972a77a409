/** What `courier contract check` and `courier contract renew` have in common: the judgement, and how it is shown. */

import { courier, IS_CLONE } from '../../src/commands.ts';
import type { Contract } from '../../src/contract/contract.ts';
import { contractDocument } from '../../src/contract/document.ts';
import { loadContract } from '../../src/contract-file.ts';
import { type ContractChange, isBreaking } from '../contract/change.ts';
import { type Earlier, earlierContracts } from '../contract/gate/earlier.ts';
import { type ContractFiles, filesOf, textOf } from '../contract/gate/files.ts';
import { UnreadableRepository } from '../contract/gate/git.ts';
import { type Judgement, judge, type PlacedChange } from '../contract/gate/judge.ts';
import { nameOf } from '../contract/gate/ledger.ts';
import { NoEarlierContract } from '../contract/gate/stage.ts';
import { CliError, EXIT } from './errors.ts';
import type { Line } from './line.ts';
import { print } from './output.ts';
import { rowLines } from './table.ts';

const DAY_MS = 86_400_000;

export interface JudgementOptions {
  readonly contract?: string | undefined;
  readonly against?: string | undefined;
  /** How many days events are kept. */
  readonly retentionDays: number;
}

export interface Judged {
  readonly contract: Contract;
  readonly files: ContractFiles;
  readonly earlier: Earlier;
  readonly judgement: Judgement;
}

/** @throws {CliError} with EXIT.usage where there is nothing to compare with, or not the history to know. */
export async function judged({ contract: path, against, retentionDays }: JudgementOptions): Promise<Judged> {
  const contract = await loadContract(path);
  const files = filesOf(path);
  // A day more, as the ledger has whole days.
  const storedSince = Date.now() - (retentionDays + 1) * DAY_MS;
  try {
    const earlier = earlierContracts({ files, now: contractDocument(contract), against, storedSince });
    const ledgerPath = earlier.repository?.pathOf(files.ledger);
    return { contract, files, earlier, judgement: judge({ contract, earlier, ledger: textOf(files.ledger), storedSince, ledgerPath }) };
  } catch (error) {
    const isExplained = error instanceof NoEarlierContract || error instanceof UnreadableRepository;
    throw isExplained ? new CliError(error.message, EXIT.usage) : error;
  }
}

/** The command that takes the contract to its snapshot. */
export function renewal({ option }: ContractFiles): string {
  // Of Lumiere's contract more is made, here.
  return option === '' && IS_CLONE ? 'npm run contract:renew --' : courier(`contract renew${option}`);
}

/** Prints every change, those first that the last step makes, and what is refused. */
export async function printChanges({ changes, unnamed, refused }: Judgement, { json }: { readonly json: boolean }): Promise<void> {
  const names = new Set(unnamed.map(nameOf));
  const shown = new Set(changes.map(nameOf));
  const rows = [
    ...changes.map((change) => (isBreaking(change) ? { ...change, named: !names.has(nameOf(change)) } : change)),
    ...unnamed.filter((change) => !shown.has(nameOf(change))).map((change) => ({ ...change, named: false })),
    ...refused.map((change) => ({ ...change, named: false })),
  ];
  for (const line of json ? rows.map((row) => JSON.stringify(row)) : tableOf(rows)) await print(line);
}

type Row = ContractChange & Partial<Pick<PlacedChange, 'since'>> & { readonly named?: boolean };

/** Characters of a change in a table, at most. */
const MAX_CHANGE = 100;

/** One line for each change, below its subject. */
function tableOf(rows: readonly Row[]): Line[] {
  const cells = rows.map(({ path, change, publishers, subscribers, reason }) => ({
    path,
    change: change.length <= MAX_CHANGE ? change : `${change.slice(0, MAX_CHANGE - 1)}…`,
    publishers,
    subscribers,
    reason,
  }));
  const [head, ...lines] = rowLines(cells);
  if (head === undefined) return [];
  const title = ({ subject, since }: Row) => (since === undefined ? subject : `${subject} (in ${since})`);
  const body = rows.flatMap((row, index): Line[] => {
    const text = `  ${lines[index]}`;
    const line = row.named === undefined ? text : { style: row.named ? ('yellow' as const) : ('red' as const), text };
    const before = rows[index - 1];
    return before !== undefined && title(before) === title(row) ? [line] : [title(row), line];
  });
  return [`  ${head}`, ...body];
}
