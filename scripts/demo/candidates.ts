/** What Prophet proposes for each of Forge's jobs. Some proposals make no sense, and one cannot be tested: they fail honestly. */
import type { Parameters } from './moving-average.ts';

/** The jobs whose research is checked. */
const CHECKED: Readonly<Record<string, readonly Parameters[]>> = {
  'research-short': [
    { fast: 10, slow: 30 },
    { fast: 20, slow: 50 },
    { fast: 20, slow: 100 },
    { fast: 50, slow: 200 },
    { fast: 100, slow: 50 },
  ],
  'research-long': [{ fast: 200, slow: 6000 }],
};
export const CHECKED_JOBS = Object.keys(CHECKED);

/** What later rounds go through, again and again. */
const PAIRS = [5, 10, 15, 20, 30, 40, 50, 60, 80, 100].flatMap((fast) => [30, 60, 90, 120, 150, 200, 250].map((slow) => ({ fast, slow })));
const PAIRS_A_ROUND = 4;
/** Has no divisor in common with the number of pairs, so that all come, and neighbours in different rounds. */
const STRIDE = 17;

/** The job of a later round, which has one; rounds count from 1, which is the one that is checked. */
export function jobOfRound(round: number): string {
  return `research-${round}`;
}

/** The pairs of windows that a job tries; none for a job that is not the demo's. */
export function candidatesOf(jobId: string): readonly Parameters[] {
  const round = Number(/^research-(\d+)$/.exec(jobId)?.[1] ?? 0);
  if (round === 0) return CHECKED[jobId] ?? [];
  const first = round * PAIRS_A_ROUND;
  return Array.from({ length: PAIRS_A_ROUND }, (_, index) => PAIRS[((first + index) * STRIDE) % PAIRS.length] as Parameters);
}

export function strategyId({ fast, slow }: Parameters): string {
  return `sma-${fast}-${slow}`;
}
