/** Publishing, by service or of any event, and `events.*`: subscribing to and reading any channels. */
import { z } from 'zod';
import type { Contract } from '../contract/contract.ts';
import { callerToken, uncheckedDrafts } from '../contract/draft.ts';
import { position } from '../contract/position.ts';
import type { HistoryPage, PublishOutcome, Receipt, Refusal, TracePage } from '../contract/types.ts';
import { CourierError, detailsOf } from '../errors.ts';
import { DEFAULT_HISTORY_LIMIT, HISTORY_ORDERS, history, MAX_HISTORY_LIMIT } from '../history.ts';
import { publish, publishEach } from '../publish.ts';
import { subscribe } from '../subscribe.ts';
import { DEFAULT_TRACE_LIMIT, MAX_TRACE_LIMIT, trace } from '../trace.ts';
import { pageFor, tracePageFor } from './event-page.ts';
import {
  type Context,
  checked,
  procedure,
  publishingAny,
  publishingEach,
  publishingFor,
  publishingMany,
  router,
  subscription,
} from './trpc.ts';

/** Channels and patterns in one subscription or read, at most. */
export const MAX_CHANNELS = 100;

export const channelList = z.array(z.string()).min(1).max(MAX_CHANNELS).describe('Channel names and patterns.');
/** Where a subscription starts. A tRPC client that reconnects fills in `lastEventId`. */
export const startInput = {
  from: z
    .enum(['now', 'earliest'])
    .optional()
    .describe('Where to start without a position, or with one that cannot be resumed from; `now` when absent.'),
  lastEventId: position.optional(),
};

/** `{service}.publish`: the mutation with which a service, or an admin, publishes the events of this service only. */
export function servicePublish(contract: Contract, service: string) {
  return publishingFor(service)
    .input(checked(contract.draftOf(service)))
    .mutation(async ({ ctx, input }): Promise<Receipt> => {
      const [receipt] = await publish(ctx.pipeline, ctx, [input]);
      return receipt as Receipt;
    });
}

/** Tells those who watch the gateway of one refused event of several. Returns what its publisher is told. */
function refusalFor({ failures, connection, connectionId, requestId }: Context, error: CourierError): Refusal {
  const context = { request_id: requestId, connection_id: connectionId, procedure: 'events.publishEach' };
  failures.answer('trpc', error, context, connection);
  return { code: error.code, message: error.message, ...detailsOf(error), requestId };
}

export function eventsRouter(contract: Contract) {
  const types = contract.typeList.optional();
  const historyInput = z.strictObject({
    channels: channelList,
    types,
    order: z.enum(HISTORY_ORDERS).optional().describe('Which come first; the `oldest` when absent.'),
    after: position.optional(),
    before: position.optional(),
    limit: z.int().min(1).max(MAX_HISTORY_LIMIT).optional().describe(`Events in the page, at most; ${DEFAULT_HISTORY_LIMIT} when absent.`),
  });
  const traceInput = z.strictObject({
    id: position.optional().describe('Any event of the piece of work; or else its correlation_id.'),
    correlation_id: callerToken.optional(),
    after: position.optional(),
    limit: z.int().min(1).max(MAX_TRACE_LIMIT).optional().describe(`Steps in the page, at most; ${DEFAULT_TRACE_LIMIT} when absent.`),
  });
  return router({
    publish: publishingAny.input(checked(contract.draft)).mutation(async ({ ctx, input }): Promise<Receipt> => {
      const [receipt] = await publish(ctx.pipeline, ctx, [input]);
      return receipt as Receipt;
    }),

    publishBatch: publishingMany
      .input(checked(contract.draftList))
      .mutation(({ ctx, input }): Promise<Receipt[]> => publish(ctx.pipeline, ctx, input)),

    publishEach: publishingEach.input(checked(uncheckedDrafts)).mutation(async ({ ctx, input }): Promise<PublishOutcome[]> => {
      const outcomes = await publishEach(ctx.pipeline, ctx, input);
      return outcomes.map((outcome) => (outcome instanceof CourierError ? { error: refusalFor(ctx, outcome) } : outcome));
    }),

    subscribe: subscription
      .input(checked(z.strictObject({ channels: channelList, types, ...startInput })))
      .subscription(({ ctx, input, signal }) => subscribe(ctx.pipeline, ctx.connection, input, signal)),

    history: procedure.input(checked(historyInput)).query(async ({ ctx, input, signal }): Promise<HistoryPage<unknown>> => {
      const page = await history(ctx.pipeline, ctx.connection, input, signal ?? new AbortController().signal);
      return pageFor(ctx.answer, page);
    }),

    trace: procedure.input(checked(traceInput)).query(async ({ ctx, input, signal }): Promise<TracePage<unknown>> => {
      const page = await trace(ctx.pipeline, ctx.connection, input, signal ?? new AbortController().signal);
      return tracePageFor(ctx.answer, page);
    }),
  });
}
