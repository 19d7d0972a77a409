/** The limits of channels, for the channels that a contract has. */
import type { Channels } from '../contract/channels.ts';
import type { Rate } from './gcra.ts';
import { type ChannelLimits, type Limits, publishRates } from './limits.ts';

/** The rates of a channel's publishes. */
export type ChannelRates = (channel: string) => readonly Rate[];

const NONE: readonly Rate[] = [];

/**
 * Makes the function that looks a channel's rates up; undefined where no channel has a limit. An entry with the channel's name takes
 * the place of the patterns; otherwise the narrowest of all patterns that match counts.
 *
 * @throws {AggregateError} with a RangeError for each entry that is no channel of the contract's, and no pattern that one could match.
 */
export function channelRates(channels: Channels, limits: Limits['channels']): ChannelRates | undefined {
  const problems: RangeError[] = [];
  const named = new Map<string, ChannelLimits>();
  const [ofFamilies, ofSingles] = [new Map<string, ChannelLimits>(), new Map<string, ChannelLimits>()];
  for (const [pattern, own] of limits) {
    try {
      const { families, singles } = channels.setOf([pattern]);
      if (channels.familyOf(pattern) !== undefined) named.set(pattern, own);
      else {
        for (const family of families) ofFamilies.set(family, narrower(ofFamilies.get(family), own));
        for (const single of singles) ofSingles.set(single, narrower(ofSingles.get(single), own));
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      problems.push(new RangeError(`channels.${pattern}: ${error.message}`));
    }
  }
  if (problems.length > 0) throw new AggregateError(problems);
  if (limits.size === 0) return undefined;
  const ofFamily = new Map([...ofFamilies].map(([family, own]) => [family, publishRates(own)]));
  const ofChannel = new Map<string, readonly Rate[]>();
  for (const [single, own] of ofSingles) {
    const family = channels.familyOf(single) ?? '';
    ofChannel.set(single, publishRates(narrower(ofFamilies.get(family), own)));
  }
  for (const [name, own] of named) ofChannel.set(name, publishRates(own));
  return (channel) => ofChannel.get(channel) ?? ofFamily.get(channels.familyOf(channel) ?? '') ?? NONE;
}

/** A channel has one count: the smaller limit is reached first. */
function narrower(one: ChannelLimits = {}, other: ChannelLimits): ChannelLimits {
  return {
    publishPerSecond: least(one.publishPerSecond, other.publishPerSecond),
    publishPerMinute: least(one.publishPerMinute, other.publishPerMinute),
  };
}

function least(one: number | null = null, other: number | null = null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other);
}
