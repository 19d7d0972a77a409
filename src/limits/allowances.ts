/** What limits leave to the caller of one request, for its answer. */
import type { Level, Rate } from './gcra.ts';

/** Whose limit: the principal's or the channel's. */
export type AllowanceScope = 'publish' | 'channel';

/** A limit, and what was left of it after the last charge. */
export interface Allowance {
  readonly scope: AllowanceScope;
  readonly rate: Rate;
  readonly level: Level;
}

export class Allowances {
  readonly #ofScopes = new Map<AllowanceScope, readonly Allowance[]>();

  /** In the place of what was noted of the scope before. */
  note(scope: AllowanceScope, rates: readonly Rate[], levels: readonly Level[]): void {
    this.#ofScopes.set(
      scope,
      rates.map((rate, index) => ({ scope, rate, level: levels[index] as Level })),
    );
  }

  get list(): readonly Allowance[] {
    return [...this.#ofScopes.values()].flat();
  }
}
