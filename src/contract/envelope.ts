/** The envelope that every event has on the wire, and the form in which publishers hand one in. */
import { z } from 'zod';
import { type ChannelFamily, type ChannelIn, channelIn } from './channels.ts';
import { plainJson } from './json.ts';
import { traceparent } from './traceparent.ts';

/** Characters in a correlation id, an idempotency key or a user id, at most. */
const MAX_TOKEN_LENGTH = 128;

/** A printable identifier of the caller's own choosing. */
export const callerToken = z
  .string()
  .regex(/^[\x21-\x7e]+$/, { error: 'must be 1 to 128 printable ASCII characters without spaces' })
  .max(MAX_TOKEN_LENGTH);

/** An instant: a Date over tRPC, an ISO 8601 string with an offset in plain JSON. Always a Date once parsed. */
const instant = z
  .union([z.date(), z.iso.datetime({ offset: true }).transform((value) => new Date(value))])
  .describe('ISO 8601 date and time.');

/** What a publisher may say about an event. Courier adds `source`, and `timestamp` where it is absent. */
export const draftMetadata = z.strictObject({
  timestamp: instant.optional().describe('When it happened; the time of publishing when absent.'),
  correlation_id: callerToken.optional().describe('Ties together what belongs to one piece of work, across services.'),
  user_id: callerToken.optional().describe('The user on whose behalf it happened.'),
  traceparent: traceparent.optional(),
});

export interface EventMetadata {
  /** When it happened. A Date over tRPC, an ISO 8601 string in UTC in plain JSON. */
  timestamp: Date;
  /** Who published it: the `sub` of the publisher's token. */
  source: string;
  correlation_id?: string;
  user_id?: string;
  /** W3C trace context: the publisher's, or that of Courier's own span where it records some. */
  traceparent?: string;
}

/** An event as subscribers get it. */
export interface Envelope<TType extends string, TChannel extends string, TData> {
  /** Its position in the log. */
  id: string;
  channel: TChannel;
  type: TType;
  metadata: EventMetadata;
  data: TData;
}

/** The schema of what is handed in to publish an event of `type`, which channels of `families` may carry. */
export function draftOf<T extends string, F extends ChannelFamily, D extends z.ZodType>(type: T, families: readonly F[], data: D) {
  return z.strictObject({
    type: z.literal(type),
    channel: channelIn(families),
    data: plainJson(data),
    metadata: draftMetadata.optional(),
    idempotency_key: callerToken.optional().describe('A publish that is repeated with the same key within 24 h is stored once.'),
  });
}

/** What is handed in to publish an event. `TInstant` is Date once it has been checked. */
export interface Draft<TType extends string, TFamily extends ChannelFamily, TData, TInstant = Date | string> {
  type: TType;
  channel: ChannelIn<TFamily>;
  data: TData;
  metadata?:
    | {
        timestamp?: TInstant | undefined;
        correlation_id?: string | undefined;
        user_id?: string | undefined;
        traceparent?: string | undefined;
      }
    | undefined;
  /** A publish that is repeated with the same key within 24 h is stored once. */
  idempotency_key?: string | undefined;
}
