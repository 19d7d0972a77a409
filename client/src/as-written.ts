/** What the gateway refuses of a call, by the names and places that its caller wrote: it gets lists, in an order of their own. */
import type { CourierError, Issue } from './errors.ts';

/** Arguments by their names. */
type Arguments = Readonly<Record<string, unknown>>;

/** What the gateway calls differently. */
export const STATE_NAMES: Readonly<Record<string, string>> = { 'entities.0': 'entity', max_per_second: 'maxPerSecond' };

/**
 * @param sent what the gateway got. @param written the same as the caller wrote it, as far as that may differ.
 * @param names by path of what was sent: what the caller calls it.
 */
export function asWritten(error: CourierError, sent: object, written: object, names: Readonly<Record<string, string>> = {}): CourierError {
  const { issues, message } = error;
  if (issues === undefined) return error;
  const told = issues.map((issue) => ({
    ...issue,
    path: names[issue.path] ?? pathAsWritten(issue.path, sent as Arguments, written as Arguments),
  }));
  // The message may say behind them how many more there are.
  const text = textOf(issues);
  return error.with({ issues: told, message: message.startsWith(text) ? textOf(told) + message.slice(text.length) : message });
}

function textOf(issues: readonly Issue[]): string {
  return issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ');
}

function pathAsWritten(path: string, sent: Arguments, written: Arguments): string {
  const conditions = (sent['where'] ?? {}) as Arguments;
  const field = Object.keys(conditions).find((each) => path.startsWith(`where.${each}.`));
  if (field !== undefined) {
    const name = `where.${field}`;
    return name + placeAsWritten(path.slice(name.length), conditions[field], (written['where'] as Arguments | undefined)?.[field]);
  }
  const [name = ''] = path.split('.');
  return name + placeAsWritten(path.slice(name.length), sent[name], written[name]);
}

/** `.0`, a place in what was sent: nothing where the caller wrote no list, else where the same stands in that. */
function placeAsWritten(place: string, sent: unknown, written: unknown): string {
  const [, index, rest = ''] = /^\.(\d+)(.*)$/.exec(place) ?? [];
  if (index === undefined || !Array.isArray(sent) || written === undefined) return place;
  if (!Array.isArray(written)) return rest;
  return `.${written.indexOf(sent[Number(index)])}${rest}`;
}
