/** What a subscription selects, and where it starts without a position. Subscriptions with equal filters share their work. */
import { assertArgument, isChannels } from './option-checks.ts';

export interface Filter {
  /** Names and patterns. */
  readonly channels: readonly string[];
  /** All types when absent. */
  readonly types?: readonly string[] | undefined;
  readonly from: 'now' | 'earliest';
}

/** @throws {CourierError} INVALID_ARGUMENT */
export function channelNames(channels: string | readonly string[]): readonly string[] {
  assertArgument('channels', channels, isChannels);
  return typeof channels === 'string' ? [channels] : [...channels];
}

/** The filter with its names in order and without repetitions, so that equal filters have the same JSON. */
export function sortedFilter({ channels, types, from }: Filter): Filter {
  return { channels: sorted(channels), types: types && sorted(types), from };
}

/** A text that is the same for equal filters. */
export function filterKey(filter: Filter): string {
  return JSON.stringify(sortedFilter(filter));
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
