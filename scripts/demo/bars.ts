/** Daily bars of the S&P 500 from 2000 to 2020, as the npm package vega-datasets ships them. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

export interface Bar {
  /** ISO date. */
  readonly date: string;
  readonly open: number;
  readonly close: number;
}

/** The file that they are in. */
export const BARS = join(dirname(dirname(createRequire(import.meta.url).resolve('vega-datasets'))), 'data', 'sp500-2000.csv');

/** Reads the bars, oldest first. */
export function readBars(): Bar[] {
  const [header = '', ...lines] = readFileSync(BARS, 'utf8').trim().split('\n');
  const columns = header.trim().split(',');
  const [date, open, close] = ['date', 'open', 'close'].map((name) => columns.indexOf(name)) as [number, number, number];
  return lines.map((line) => {
    const fields = line.split(',');
    return { date: String(fields[date]), open: Number(fields[open]), close: Number(fields[close]) };
  });
}
