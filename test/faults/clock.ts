/** Loaded into a gateway before its own code: a clock that stands off by the milliseconds in the file `COURIER_TEST_CLOCK`. */
import { readFileSync } from 'node:fs';

const RealDate = Date;
const file = process.env['COURIER_TEST_CLOCK'] ?? '';
const now = () => RealDate.now() + Number(readFileSync(file, 'utf8'));

globalThis.Date = class extends RealDate {
  constructor(value: number | string | Date = now()) {
    super(value);
  }

  static override now(): number {
    return now();
  }
} as DateConstructor;
