/** New events as a log takes them. Of what is in them it only knows the channel and the type, so the types are short. */
import { familyIn } from '../../src/contract/channels.ts';
import type { NewEvent } from '../../src/log/log.ts';

export interface NewEventOptions {
  readonly type?: string;
  readonly version?: number;
  readonly key?: string;
  readonly principal?: string;
  readonly correlationId?: string | undefined;
  readonly causeSeq?: number | undefined;
  /** Characters of its text, of two bytes each. */
  readonly size?: number;
}

export function newEvent(
  channel: string,
  { type = 'a', version = 1, key, principal = 'p', size = 0, correlationId, causeSeq }: NewEventOptions = {},
): NewEvent {
  const family = familyIn(channel);
  if (family === undefined) throw new Error(`${channel} is no channel`);
  const body = JSON.stringify({ channel, type, metadata: { correlation_id: correlationId }, data: { text: 'é'.repeat(size) } });
  return {
    channel,
    family,
    type,
    version,
    body,
    ...(key !== undefined && { idempotency: { principal, key } }),
    ...(correlationId !== undefined && { correlationId }),
    ...(causeSeq !== undefined && { causeSeq }),
  };
}

export function newEvents(count: number, channel: string, options?: NewEventOptions): NewEvent[] {
  return Array.from({ length: count }, () => newEvent(channel, options));
}
