/** `courier contract renew`: takes the contract to its snapshot, and what breaks to its ledger. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { contractDocument } from '../../src/contract/document.ts';
import { contractHash, documentHash } from '../../src/version.ts';
import { type ContractChange, isBreaking } from '../contract/change.ts';
import { contractChanges, parseContractDocument } from '../contract/compatibility.ts';
import { shown, textOf } from '../contract/gate/files.ts';
import { compareLedgers, isNamed, isReason, ledgerLine, linesOf, nameOf, toName } from '../contract/gate/ledger.ts';
import { snapshotText } from './contract.ts';
import { type Judged, type JudgementOptions, judged, printChanges, renewal } from './contract-judgement.ts';
import { CliError, EXIT } from './errors.ts';
import { tell } from './output.ts';

export interface RenewOptions extends JudgementOptions {
  /** Why something breaks that is meant to. */
  readonly breaking?: string | undefined;
}

/** @throws {CliError} when something breaks and nobody says why, or stored events could not be read. Nothing is written then. */
export async function renewContract({ breaking: why, ...options }: RenewOptions): Promise<void> {
  if (why !== undefined && !isReason(why)) throw new CliError('--breaking: say why it has to break', EXIT.usage);
  const all = await judged(options);
  const { contract, files, judgement } = all;
  const unsaid = unsaidChanges(all);
  if (judgement.refused.length > 0 || (unsaid.length > 0 && why === undefined)) {
    await printChanges({ ...judgement, unnamed: unsaid.map((change) => ({ since: undefined, ...change })) }, { json: false });
    const never = `what stored events or the ledger do not allow: ${judgement.refused.length}`;
    const missing = `breaking changes: ${unsaid.length}; if they are meant: ${renewal(files)} --breaking "why"`;
    throw new CliError(`nothing is renewed; ${judgement.refused.length > 0 ? never : missing}`);
  }
  if (unsaid.length > 0 && why !== undefined) {
    appendToLedger(files.ledger, { date: new Date().toISOString().slice(0, 10), ...hashes(all), changes: withVersions(unsaid, all), why });
    tell(`${shown(files.ledger)} says why: breaking changes: ${unsaid.length}`);
  } else if (why !== undefined) tell('nothing breaks that the ledger does not say already: it gets no line');
  const text = snapshotText(contract);
  if (textOf(files.snapshot) === text) tell(`${shown(files.snapshot)} is up to date`);
  else {
    writeFileSync(files.snapshot, text);
    tell(`${shown(files.snapshot)} is renewed`);
  }
}

/** What breaks, seen from the snapshot and from the earlier contracts that the check will compare with, and is in no new line yet. */
function unsaidChanges(all: Judged): ContractChange[] {
  const { earlier, files, judgement } = all;
  const base = earlier.steps.at(-1)?.ledger ?? [];
  const lines = compareLedgers(base, linesOf(textOf(files.ledger))).added.filter((line) => 'changes' in line);
  const here = sinceSnapshot(all).filter((change) => isBreaking(change) && !isNamed(change, lines));
  const others = judgement.unnamed.filter((change) => !here.some((other) => nameOf(other) === nameOf(change)));
  return [...here, ...others];
}

function sinceSnapshot({ contract, files }: Judged): ContractChange[] {
  const snapshot = textOf(files.snapshot);
  return snapshot === undefined ? [] : contractChanges(parseContractDocument(snapshot), contractDocument(contract));
}

/** With the new versions of the types whose data changes, so that the ledger tells since when there are no events of the earlier ones. */
function withVersions(changes: readonly ContractChange[], all: Judged): ContractChange[] {
  const types = new Set(changes.map(({ subject }) => subject));
  const raised = [...all.judgement.changes, ...sinceSnapshot(all)].filter(({ subject, path }) => path === 'version' && types.has(subject));
  const missing = toName(raised).filter((change, index) => raised.findIndex((other) => nameOf(other) === nameOf(change)) === index);
  return [...changes, ...missing];
}

function hashes({ contract, files, earlier }: Judged): { before: string; after: string } {
  const snapshot = textOf(files.snapshot);
  const before = snapshot === undefined ? earlier.steps.at(-1)?.document : parseContractDocument(snapshot);
  return { before: before === undefined ? 'none' : documentHash(before), after: contractHash(contract) };
}

function appendToLedger(path: string, line: Parameters<typeof ledgerLine>[0]): void {
  const text = textOf(path) ?? '';
  appendFileSync(path, `${text === '' || text.endsWith('\n') ? '' : '\n'}${ledgerLine(line)}`);
}
