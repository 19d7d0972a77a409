/** What a subscription selects: events of some channels, of some types or all. Subscriptions with equal filters share their work. */
import { type ChannelFamily, type ChannelSet, includesChannel } from './channels.ts';

export interface Filter {
  readonly channels: ChannelSet;
  /** All types when absent. */
  readonly types?: ReadonlySet<string> | undefined;
}

/** The same text for equal filters. */
export function filterKey({ channels, types }: Filter): string {
  return JSON.stringify([[...channels.families].sort(), [...channels.singles].sort(), types && [...types].sort()]);
}

/** Whether the filter selects an event; a notice, which has no family, is selected by none. */
export function selects(
  { channels, types }: Filter,
  { family, channel, type }: { readonly family: ChannelFamily | undefined; readonly channel: string; readonly type: string },
): boolean {
  return family !== undefined && includesChannel(channels, family, channel) && (types === undefined || types.has(type));
}
