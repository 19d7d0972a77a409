/** The channels and patterns that a plain address names, separated by commas: `/ws/backtest.*,strategy.s1`. */
import type { Principal } from '../auth/principal.ts';
import { CourierError } from '../errors.ts';
import { MAX_CHANNELS } from '../router/events.ts';
import { readableChannels } from '../subscribe.ts';

/**
 * Reads the list.
 *
 * @throws {CourierError} BAD_REQUEST when it is too long, or naming the first entry that is neither a channel nor a
 * pattern; FORBIDDEN naming the first that the principal may not read.
 */
export function readableChannelList(principal: Principal, list: string): string[] {
  const channels = list.split(',');
  if (channels.length > MAX_CHANNELS) {
    const message = `must be at most ${MAX_CHANNELS} channels and patterns, not ${channels.length}`;
    throw new CourierError('BAD_REQUEST', message, { issues: [{ path: 'channels', message }] });
  }
  // One by one, for the error to name the entry.
  for (const channel of channels) readableChannels(principal, [channel]);
  return channels;
}
