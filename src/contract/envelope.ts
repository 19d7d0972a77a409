/** The envelope that every event has on the wire, and the form in which publishers hand one in. */
import type { ChannelFamily, ChannelIn } from './channels.ts';

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
