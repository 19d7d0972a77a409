/** An event's data on one short line. */
import { legible } from '../../parts/legible.tsx';

const MAX_FIELDS = 8;
const MAX_VALUE = 60;

export function summaryOf(data: object): string {
  const fields = Object.entries(data).slice(0, MAX_FIELDS);
  return legible(fields.map(([name, value]) => `${name}=${short(value)}`).join('  '));
}

/** Never walks large data, which may have 100 KiB. */
function short(value: unknown): string {
  if (typeof value === 'string') return value.length > MAX_VALUE ? `${value.slice(0, MAX_VALUE)}…` : value;
  if (Array.isArray(value)) return `[${value.length}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const names = Object.keys(value);
  return `{${names.slice(0, 3).join(', ').slice(0, MAX_VALUE)}${names.length > 3 ? ', …' : ''}}`;
}
