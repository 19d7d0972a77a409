/** What a component wants, in a form that is equal for those that want the same. */
import { CourierError } from '../errors.ts';

export interface Interest {
  /** Names and patterns, sorted, none twice. */
  readonly channels: readonly string[];
  /** Likewise; all when absent. */
  readonly types?: readonly string[] | undefined;
  readonly from: 'now' | 'earliest';
  readonly lastEventId?: string | undefined;
  /** Events that are kept. */
  readonly history: number;
}

/** An `Interest` as JSON. */
export type InterestKey = string;

export interface InterestOptions {
  readonly types?: readonly string[] | undefined;
  readonly from?: 'now' | 'earliest' | undefined;
  readonly lastEventId?: string | undefined;
  readonly history?: number | undefined;
}

const DEFAULT_HISTORY = 100;

/** @throws {CourierError} INVALID_ARGUMENT when the history has no bound. */
export function keyOf(channels: readonly string[], options: InterestOptions): InterestKey {
  const { types, from = 'now', lastEventId, history = DEFAULT_HISTORY } = options;
  if (!Number.isSafeInteger(history) || history < 0) {
    throw new CourierError('INVALID_ARGUMENT', `history: must be a number of events, and is ${history}`);
  }
  return JSON.stringify({ channels: sorted(channels), types: types && sorted(types), from, lastEventId, history } satisfies Interest);
}

export function interestOf(key: InterestKey): Interest {
  return JSON.parse(key) as Interest;
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
