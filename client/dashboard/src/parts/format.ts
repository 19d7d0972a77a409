/** Figures and errors as text for people. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'];

export function count(value: number): string {
  return Math.abs(value) < 100_000 ? whole.format(value) : compact.format(value);
}

/** Events or calls per second, small rates with decimals. */
export function rate(value: number): string {
  if (value === 0) return '0';
  if (value < 0.01) return '< 0.01';
  return value < 10 ? value.toFixed(value < 1 ? 2 : 1) : count(value);
}

/** @param ms a duration in ms. */
export function milliseconds(ms: number): string {
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  return ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

export function bytes(value: number): string {
  const unit = Math.min(UNITS.length - 1, value === 0 ? 0 : Math.floor(Math.log10(value) / 3));
  return `${unit === 0 ? value : (value / 1000 ** unit).toFixed(1)} ${UNITS[unit]}`;
}

/** The two largest units of a duration. @param seconds the duration in seconds. */
export function duration(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [Math.floor(seconds) % 60, 's'],
  ] as const;
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(' ');
}

/** The time of day, to the millisecond. */
export function timeOf(date: Date): string {
  return `${date.toLocaleTimeString('en-GB')}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** The time of day, with the day when it is not today. */
export function momentOf(date: Date): string {
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? timeOf(date) : dateTimeOf(date).slice(0, 'YYYY-MM-DD HH:MM'.length);
}

export function dateTimeOf(date: Date): string {
  return `${date.toLocaleDateString('en-CA')} ${date.toLocaleTimeString('en-GB')}`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
