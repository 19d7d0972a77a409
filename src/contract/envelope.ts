/** The envelope of every event on the wire, as types. Clients import this file, so it imports nothing. */

export interface EventMetadata {
  /** When the event happened. A Date over tRPC, an ISO 8601 string in UTC in plain JSON. */
  timestamp: Date;
  /** The publisher: the `sub` of its token. */
  source: string;
  correlation_id?: string;
  user_id?: string;
  /** W3C trace context: the publisher's, or that of Courier's own span where Courier records spans. */
  traceparent?: string;
}

/** An event as subscribers get it. */
export interface Envelope<TType extends string, TChannel extends string, TData> {
  /** The event's position in the log. */
  id: string;
  channel: TChannel;
  type: TType;
  metadata: EventMetadata;
  data: TData;
}
