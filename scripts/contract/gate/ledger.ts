/**
 * The ledger of a contract: a line of JSON for each breaking change that was meant, with whom it breaks and why. Lines are added
 * and never changed. A line explains the changes that it names, exactly as they are named, and no others.
 */
import { z } from 'zod';
import { type ContractChange, isBreaking } from '../compatibility.ts';

const verdict = z.enum(['compatible', 'breaking']).nullable();
const change = z.object({
  subject: z.string(),
  path: z.string().nullable(),
  change: z.string(),
  publishers: verdict,
  subscribers: verdict,
});
const lineForm = z.object({
  date: z.iso.date(),
  before: z.string(),
  after: z.string(),
  changes: z.array(change).min(1),
  why: z.string().refine(isReason, { error: 'is empty' }),
});

export type NamedChange = z.output<typeof change>;

export interface LedgerLine {
  readonly text: string;
  readonly date: string;
  readonly changes: readonly NamedChange[];
}

/** Whether somebody could learn something from it. */
export function isReason(why: string): boolean {
  return /\p{L}/u.test(why);
}

/** The lines of a ledger's text; what is wrong with a line in place of the line. */
export function linesOf(text: string | undefined): (LedgerLine | { readonly text: string; readonly problem: string })[] {
  const lines = (text ?? '').split(/\r?\n/).filter((line) => line.trim() !== '');
  return lines.map((line) => {
    try {
      const { error, data } = lineForm.safeParse(JSON.parse(line));
      if (data !== undefined) return { text: line, date: data.date, changes: data.changes };
      const [issue] = error.issues;
      return { text: line, problem: `${issue?.path.join('.')}: ${issue?.message}` };
    } catch (error) {
      return { text: line, problem: error instanceof Error ? error.message : String(error) };
    }
  });
}

/** The lines of `now` that are not among those of `before`, and those of `before` that are gone. A copy of a line says nothing new. */
export function compareLedgers<T extends { readonly text: string }>(before: readonly { readonly text: string }[], now: readonly T[]) {
  const without = <L extends { readonly text: string }>(lines: readonly L[], others: readonly { readonly text: string }[]) => {
    const texts = new Set(others.map(({ text }) => text));
    return lines.filter(({ text }) => !texts.has(text));
  };
  return { added: without(now, before), removed: without(before, now) };
}

/** The name by which a change is looked up in the ledger. */
export function nameOf({ subject, path, change, publishers, subscribers }: NamedChange): string {
  return JSON.stringify([subject, path, change, publishers, subscribers]);
}

/** Whether the lines name the change. */
export function isNamed(change: NamedChange, lines: readonly LedgerLine[]): boolean {
  return lines.some(({ changes }) => changes.some((named) => nameOf(named) === nameOf(change)));
}

/** A line of the ledger, with its end. */
export function ledgerLine(line: {
  readonly date: string;
  readonly before: string;
  readonly after: string;
  readonly changes: readonly ContractChange[];
  readonly why: string;
}): string {
  const subjects = (side: 'publishers' | 'subscribers') => [
    ...new Set(line.changes.filter((change) => change[side] === 'breaking').map(({ subject }) => subject)),
  ];
  const { date, before, after, why } = line;
  const changes = line.changes.map(({ reason: _, ...named }) => named);
  return `${JSON.stringify({ date, before, after, changes, why, breaks: { publishers: subjects('publishers'), subscribers: subjects('subscribers') } })}\n`;
}

/** What a line has to name: what breaks, and the versions that types were brought to. */
export function toName(changes: readonly ContractChange[]): ContractChange[] {
  return changes.filter((change) => isBreaking(change) || change.path === 'version');
}
