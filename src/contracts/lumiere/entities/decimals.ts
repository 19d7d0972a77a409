/** Exact arithmetic on decimal numbers as texts, such as prices and quantities. */
import { z } from 'zod';

/** Digits behind the point that are kept: as many as the decimals of events have. */
const PLACES = 18;
const SCALE = 10n ** BigInt(PLACES);

/** A sum of the decimals of events: it may have more digits than each of them. */
export const total = z
  .string()
  .regex(/^-?(0|[1-9][0-9]{0,39})(\.[0-9]{1,18})?$/, { error: 'must be a decimal number as a string, such as "12.50"' })
  .describe('Decimal number as a string.');

/** `1.5` and `2.25` give `3.75`. */
export function add(a: string, b: string): string {
  return textOf(unitsOf(a) + unitsOf(b));
}

/** `a - b`; `0` where that would be less. */
export function without(a: string, b: string): string {
  const left = unitsOf(a) - unitsOf(b);
  return left < 0n ? '0' : textOf(left);
}

export function isZero(decimal: string): boolean {
  return !/[1-9]/.test(decimal);
}

function unitsOf(decimal: string): bigint {
  const [whole = '0', fraction = ''] = decimal.replace('-', '').split('.');
  const units = BigInt(whole) * SCALE + BigInt(fraction.padEnd(PLACES, '0'));
  return decimal.startsWith('-') ? -units : units;
}

function textOf(units: bigint): string {
  const size = units < 0n ? -units : units;
  const fraction = (size % SCALE).toString().padStart(PLACES, '0').replace(/0+$/, '');
  return `${units < 0n ? '-' : ''}${size / SCALE}${fraction === '' ? '' : `.${fraction}`}`;
}
