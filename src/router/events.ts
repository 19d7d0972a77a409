/** Publishing, by service or of any event, and `events.*`: subscribing to and reading any channels. */
import { z } from 'zod';
import type { Contract } from '../contract/contract.ts';
import { position } from '../contract/position.ts';
import type { HistoryPage, Receipt } from '../contract/types.ts';
import { DEFAULT_HISTORY_LIMIT, HISTORY_ORDERS, history, MAX_HISTORY_LIMIT } from '../history.ts';
import { publish } from '../publish.ts';
import { subscribe } from '../subscribe.ts';
import { pageFor } from './event-page.ts';
import { checked, procedure, publishingAny, publishingFor, publishingMany, router, subscription } from './trpc.ts';

/** Channels and patterns in one subscription or read, at most. */
export const MAX_CHANNELS = 100;

const channelList = z.array(z.string()).min(1).max(MAX_CHANNELS).describe('Channel names and patterns.');
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
  return router({
    publish: publishingAny.input(checked(contract.draft)).mutation(async ({ ctx, input }): Promise<Receipt> => {
      const [receipt] = await publish(ctx.pipeline, ctx, [input]);
      return receipt as Receipt;
    }),

    publishBatch: publishingMany
      .input(checked(contract.draftList))
      .mutation(({ ctx, input }): Promise<Receipt[]> => publish(ctx.pipeline, ctx, input)),

    subscribe: subscription
      .input(checked(z.strictObject({ channels: channelList, types, ...startInput })))
      .subscription(({ ctx, input, signal }) => subscribe(ctx.pipeline, ctx.connection, input, signal)),

    history: procedure.input(checked(historyInput)).query(async ({ ctx, input, signal }): Promise<HistoryPage<unknown>> => {
      const page = await history(ctx.pipeline, ctx.connection, input, signal ?? new AbortController().signal);
      return pageFor(ctx.answer, page);
    }),
  });
}
