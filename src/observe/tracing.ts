/**
 * Follows an event on its way through the gateway, for people: by spans where an OpenTelemetry SDK is registered, and its delivery
 * by a line in the log at level `debug`. Where neither is on, it costs a look at a flag.
 *
 * A span `publish` has a child `append`; the span `deliver`, on every instance that delivers the event, is a child of what
 * the event's `traceparent` names. That is what the publisher sent, or else the span `publish`.
 */
import {
  type Context,
  isSpanContextValid,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { familyForm, familyIn } from '../contract/channels.ts';
import type { CheckedDraft } from '../contract/draft.ts';
import type { EventMetadata } from '../contract/envelope.ts';
import { formatTraceparent, parseTraceparent } from '../contract/traceparent.ts';
import { tellable } from '../errors.ts';
import { VERSION } from '../version.ts';
import type { Logger } from './logger.ts';
import type { Acknowledged } from './publications.ts';

/** What OpenTelemetry's conventions call a correlation id. */
const CORRELATION = 'messaging.message.conversation_id';

/** The call that publishes an event. */
export interface TracedCall {
  readonly requestId: string;
  /** W3C trace context of the call, where its caller sent one. */
  readonly traceparent: string | undefined;
}

/** Follows one publish. */
export interface PublishTrace {
  /** Of the gateway's span, for events whose publisher sent none. */
  readonly traceparent: string | undefined;
  append<T>(work: () => Promise<T>): Promise<T>;
  stored(events: readonly Acknowledged[]): void;
  failed(error: unknown): void;
}

export interface Tracing {
  /** A publish begins; without drafts, one that was refused unread. Undefined when there are no spans. */
  publish(call: TracedCall, drafts: readonly CheckedDraft[]): PublishTrace | undefined;
  /** An event goes out to live subscribers. Returns the function to call when all of them have it; undefined when tracing is off. */
  deliver(event: { readonly json: string }, subscribers: number): (() => void) | undefined;
}

/** Tracing that is off. */
export const noTracing: Tracing = { publish: () => undefined, deliver: () => undefined };

/** @param logger takes a line for each delivery. An SDK that is to get spans must be registered before. */
export function createTracing(logger: Logger): Tracing {
  const tracer = registeredTracer();
  const isDelivery = () => tracer !== undefined || logger.isEnabled('debug');
  return {
    publish: (call, drafts) => tracer && tracePublish(tracer, call, drafts),
    deliver: (event, subscribers) => (isDelivery() ? traceDelivery(tracer, logger, event, subscribers) : undefined),
  };
}

/** Undefined when there is no SDK: its spans would go nowhere. */
function registeredTracer(): Tracer | undefined {
  const tracer = trace.getTracer('courier', VERSION);
  return isSpanContextValid(tracer.startSpan('start').spanContext()) ? tracer : undefined;
}

function tracePublish(tracer: Tracer, { requestId, traceparent }: TracedCall, drafts: readonly CheckedDraft[]): PublishTrace {
  const [first] = drafts;
  const own = drafts.flatMap(({ metadata }) => metadata?.traceparent ?? []);
  const parent = parentContextOf(traceparent ?? (drafts.length === 1 ? own[0] : undefined));
  const span = tracer.startSpan(
    nameOf(drafts),
    {
      kind: SpanKind.SERVER,
      attributes: {
        'messaging.system': 'courier',
        'messaging.operation.name': 'publish',
        'messaging.operation.type': 'send',
        'messaging.batch.message_count': drafts.length,
        'courier.request_id': requestId,
        ...(drafts.length === 1 && first !== undefined && attributesOf(first.channel, first.type, first.metadata?.correlation_id)),
      },
      links: drafts.length === 1 ? [] : own.flatMap(linkTo),
    },
    parent,
  );
  const end = (error?: unknown) => {
    if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: tellable(error).message });
    span.end();
  };
  return {
    traceparent: formatTraceparent(span.spanContext()),
    append: async (work) => {
      const step = tracer.startSpan('append', { kind: SpanKind.INTERNAL }, trace.setSpan(parent, span));
      try {
        return await work();
      } finally {
        step.end();
      }
    },
    stored: (events) => {
      const [only] = events;
      if (only !== undefined && events.length === 1)
        span.setAttributes({ 'messaging.message.id': only.receipt.id, [CORRELATION]: only.correlationId });
      end();
    },
    failed: end,
  };
}

function traceDelivery(tracer: Tracer | undefined, logger: Logger, event: { readonly json: string }, subscribers: number): () => void {
  const { id, channel, type, metadata } = JSON.parse(event.json) as {
    id: string;
    channel: string;
    type: string;
    metadata: Omit<EventMetadata, 'timestamp'>;
  };
  const { correlation_id, traceparent } = metadata;
  const span: Span | undefined = tracer?.startSpan(
    `deliver ${destinationOf(channel)}`,
    {
      kind: SpanKind.PRODUCER,
      attributes: {
        'messaging.system': 'courier',
        'messaging.operation.name': 'deliver',
        'messaging.operation.type': 'send',
        'messaging.message.id': id,
        'courier.subscribers': subscribers,
        ...attributesOf(channel, type, correlation_id),
      },
    },
    parentContextOf(traceparent),
  );
  return () => {
    logger.debug('delivered', { correlation_id, id, channel, type, subscribers });
    span?.end();
  };
}

/** Of a publish: what it is of, where that was read. */
function nameOf(drafts: readonly CheckedDraft[]): string {
  const [first] = drafts;
  if (first === undefined) return 'publish';
  return drafts.length === 1 ? `publish ${destinationOf(first.channel)}` : 'publish batch';
}

/** Names and values of OpenTelemetry's conventions for messaging. */
function attributesOf(channel: string, type: string, correlationId: string | undefined) {
  return {
    'messaging.destination.name': channel,
    'messaging.destination.template': destinationOf(channel),
    'courier.event.type': type,
    ...(correlationId !== undefined && { [CORRELATION]: correlationId }),
  };
}

/** The family of the channel, as names of spans must be few. */
function destinationOf(channel: string): string {
  const family = familyIn(channel);
  return family === undefined ? 'unknown' : familyForm(family);
}

function parentContextOf(traceparent: string | undefined): Context {
  const parsed = traceparent === undefined ? undefined : parseTraceparent(traceparent);
  return parsed === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...parsed, isRemote: true });
}

function linkTo(traceparent: string): Link[] {
  const context = parseTraceparent(traceparent);
  return context === undefined ? [] : [{ context }];
}
