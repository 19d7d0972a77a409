/** What a subscriber wants. Those with the same interest read the log together and are an audience together. */
import type { Selector } from '../contract/channels.ts';

export interface Interest {
  readonly selector: Selector;
  /** All types when absent. */
  readonly types: ReadonlySet<string> | undefined;
}

/** Equal for equal interests. */
export function keyOf({ selector, types }: Interest): string {
  return JSON.stringify([[...selector.families].sort(), [...selector.channels].sort(), types && [...types].sort()]);
}
