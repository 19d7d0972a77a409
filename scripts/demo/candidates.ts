/** What Prophet proposes for each of Forge's jobs. One proposal makes no sense, and one cannot be tested: both fail honestly. */
import type { Parameters } from './moving-average.ts';

export const JOBS: Readonly<Record<string, readonly Parameters[]>> = {
  'research-short': [
    { fast: 10, slow: 30 },
    { fast: 20, slow: 50 },
    { fast: 20, slow: 100 },
    { fast: 50, slow: 200 },
    { fast: 100, slow: 50 },
  ],
  'research-long': [{ fast: 200, slow: 6000 }],
};

export function strategyId({ fast, slow }: Parameters): string {
  return `sma-${fast}-${slow}`;
}
