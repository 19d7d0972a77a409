/** What a workload is given, and what it gives. */
import type { ContenderName } from '../protocols.ts';

export interface Settings {
  readonly quick: boolean;
  /** How often each case is measured; the median counts. */
  readonly rounds: number;
  /** How long each measurement takes, in s. */
  readonly seconds: number;
  /** Told what is being measured. */
  readonly progress: (text: string) => void;
  /** Told what readers of the table have to know: what was left out, and why. */
  readonly note: (text: string) => void;
}

/** One line of a workload's table: figures by the name of their column, unit included. */
export interface Row {
  /** What was done: `20 a turn, 300 B, to 1,000`. */
  readonly case: string;
  readonly contender: ContenderName;
  readonly figures: Readonly<Record<string, number>>;
}

export interface Workload {
  readonly name: string;
  readonly title: string;
  run(settings: Settings): Promise<Row[]>;
}

/** Runs `measure` for each contender in turn, `rounds` times over, and gives the medians. */
export async function inTurn<N extends ContenderName>(
  settings: Settings,
  name: string,
  contenders: readonly N[],
  measure: (contender: N) => Promise<Record<string, number>>,
): Promise<Row[]> {
  const all = new Map<N, Record<string, number>[]>(contenders.map((contender) => [contender, []]));
  for (let round = 1; round <= settings.rounds; round += 1) {
    for (const contender of contenders) {
      settings.progress(`${name}: ${contender}${settings.rounds > 1 ? `, round ${round} of ${settings.rounds}` : ''}`);
      all.get(contender)?.push(await measure(contender));
    }
  }
  return contenders.map((contender) => ({ case: name, contender, figures: mediansOf(all.get(contender) ?? []) }));
}

export function mediansOf(measured: readonly Record<string, number>[]): Record<string, number> {
  const columns = Object.keys(measured[0] ?? {});
  return Object.fromEntries(columns.map((column) => [column, median(measured.map((one) => one[column] ?? Number.NaN))]));
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? Number.NaN) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

export const thousands = (number: number): string => number.toLocaleString('en-US', { maximumFractionDigits: 0 });
