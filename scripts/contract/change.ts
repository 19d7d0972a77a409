/** A change of the contract, with its effects on publishers and subscribers. */
import type { Effect } from './schema-changes.ts';

export interface ContractChange {
  /** An event type, a family as its channels are written (`backtest.{id}`), or `contract`. */
  readonly subject: string;
  /** A path in the event, such as `data.progress`; null when the change concerns the subject itself. */
  readonly path: string | null;
  readonly change: string;
  /** null when the change does not concern this side. */
  readonly publishers: Verdict | null;
  readonly subscribers: Verdict | null;
  readonly reason: string;
}

export type Verdict = 'compatible' | 'breaking';

export function isBreaking({ publishers, subscribers }: ContractChange): boolean {
  return publishers === 'breaking' || subscribers === 'breaking';
}

/** Makes a change, with the reasons why it breaks somebody, or else the reasons why it breaks nobody. */
export function row(
  subject: string,
  path: string | null,
  change: string,
  publishers: Effect | undefined,
  subscribers: Effect | undefined,
): ContractChange {
  const effects = [publishers, subscribers].filter((effect) => effect !== undefined);
  const breaking = effects.filter((effect) => effect.breaking);
  const reasons = new Set((breaking.length > 0 ? breaking : effects).map(({ reason }) => reason));
  return { subject, path, change, publishers: verdict(publishers), subscribers: verdict(subscribers), reason: [...reasons].join('; ') };
}

function verdict(effect: Effect | undefined): Verdict | null {
  if (effect === undefined) return null;
  return effect.breaking ? 'breaking' : 'compatible';
}
