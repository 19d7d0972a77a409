/** What a subscription selects: events of some channels, of some types or of all. Subscriptions with equal filters share their work. */
import { type ChannelSet, includesChannel } from './channels.ts';

export interface Filter {
  readonly channels: ChannelSet;
  /** All types when absent. */
  readonly types?: ReadonlySet<string> | undefined;
}

/** A text that is the same for equal filters. */
export function filterKey({ channels, types }: Filter): string {
  return JSON.stringify([channels.everything, [...channels.families].sort(), [...channels.singles].sort(), types && [...types].sort()]);
}

/** Whether the filter selects an event. No filter selects a notice, which has no family. */
export function selects(
  { channels, types }: Filter,
  { family, channel, type }: { readonly family: string | undefined; readonly channel: string; readonly type: string },
): boolean {
  return family !== undefined && includesChannel(channels, family, channel) && selectsType(types, type);
}

/** Whether a filter with these types selects this one. */
export function selectsType(types: Filter['types'], type: string): boolean {
  return types === undefined || types.has(type);
}
