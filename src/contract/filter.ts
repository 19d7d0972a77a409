/** What a subscription selects: events of some channels, of some types or of all. Subscriptions with equal filters share their work. */
import { type ChannelSet, includesChannel } from './channels.ts';

export interface Filter {
  readonly channels: ChannelSet;
  /** All types when absent. Of states the entities. */
  readonly types?: ReadonlySet<string> | undefined;
  /** Which states; absent where events are selected. */
  readonly states?: StateConditions | undefined;
  /** How often what changes is told in a second, at most: the latest of each. As it comes when absent. */
  readonly maxPerSecond?: number | undefined;
}

/** All of them hold for a state that is selected. */
export interface StateConditions {
  /** Only those that go on, or only those that do not. */
  readonly open?: boolean | undefined;
  readonly keys?: ReadonlySet<string> | undefined;
  /** By field of the state: the values that it may have. */
  readonly fields?: ReadonlyMap<string, ReadonlySet<unknown>> | undefined;
  /**
   * Nobody has any of it yet but what is read from now on, as it was at this number or later: what is not selected is passed over, and not
   * told as gone. Those who began at other numbers read for themselves: they may not have what was read before.
   */
  readonly freshSeq?: number | undefined;
}

/** A text that is the same for equal filters. */
export function filterKey({ channels, types, states, maxPerSecond }: Filter): string {
  const selected = [channels.everything, [...channels.families].sort(), [...channels.singles].sort(), types && [...types].sort()];
  return JSON.stringify(states === undefined ? selected : [...selected, conditionsKey(states), maxPerSecond]);
}

function conditionsKey({ open, keys, fields, freshSeq }: StateConditions): unknown {
  return [
    open,
    keys && [...keys].sort(),
    fields && [...fields].map(([field, values]) => [field, [...values].map((value) => JSON.stringify(value)).sort()]).sort(),
    freshSeq,
  ];
}

/** Whether the filter selects an event. No filter selects a notice, which has no family. */
export function selects(
  { channels, types, states }: Filter,
  { family, channel, type }: { readonly family: string | undefined; readonly channel: string; readonly type: string },
): boolean {
  return states === undefined && family !== undefined && includesChannel(channels, family, channel) && selectsType(types, type);
}

/** Whether a filter with these types selects this one. */
export function selectsType(types: Filter['types'], type: string): boolean {
  return types === undefined || types.has(type);
}

/** Whether a filter selects the channel. */
export function includesChannelOf(
  { channels }: Filter,
  { family, channel }: { readonly family: string; readonly channel: string },
): boolean {
  return includesChannel(channels, family, channel);
}
