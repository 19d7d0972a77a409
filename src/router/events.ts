/** `events.*`: publishing, subscribing and reading without regard to service or channel family. */
import { z } from 'zod';
import { type CourierEvent, draftList, EVENT_TYPES, SERVICE_NAMES } from '../contract/events/index.ts';
import { position } from '../contract/position.ts';
import { DEFAULT_HISTORY_LIMIT, HISTORY_ORDERS, type HistoryPage, history, MAX_HISTORY_LIMIT } from '../history.ts';
import { publish, type Receipt } from '../publish.ts';
import { subscribe } from '../subscribe.ts';
import { pageFor } from './event-page.ts';
import { anyDraft } from './services.ts';
import { checked, procedure, publishingAny, publishingMany, router, subscription } from './trpc.ts';

/** Channels and patterns in one subscription or read, at most. */
export const MAX_CHANNELS = 100;

export const channelList = z.array(z.string()).min(1).max(MAX_CHANNELS).describe('Channel names and patterns.');
export const typeList = z.array(z.enum(EVENT_TYPES)).min(1).max(EVENT_TYPES.length).describe('Only events of these types.');
/** Where a subscription starts. `lastEventId` is filled in by tRPC clients that reconnect. */
export const startInput = {
  from: z
    .enum(['now', 'earliest'])
    .optional()
    .describe('Where to start without a position, or with one that cannot be resumed from; `now` when absent.'),
  lastEventId: position.optional(),
};
const historyInput = z.strictObject({
  channels: channelList,
  types: typeList.optional(),
  order: z.enum(HISTORY_ORDERS).optional().describe('Which come first; the `oldest` when absent.'),
  after: position.optional(),
  before: position.optional(),
  limit: z.int().min(1).max(MAX_HISTORY_LIMIT).optional().describe(`Events in the page, at most; ${DEFAULT_HISTORY_LIMIT} when absent.`),
});

export const eventsRouter = router({
  publish: publishingAny.input(checked(anyDraft)).mutation(async ({ ctx, input }): Promise<Receipt> => {
    const [receipt] = await publish(ctx.pipeline, ctx, [input]);
    return receipt as Receipt;
  }),

  publishBatch: publishingMany
    .input(checked(draftList(SERVICE_NAMES)))
    .mutation(({ ctx, input }): Promise<Receipt[]> => publish(ctx.pipeline, ctx, input)),

  subscribe: subscription
    .input(checked(z.strictObject({ channels: channelList, types: typeList.optional(), ...startInput })))
    .subscription(({ ctx, input, signal }) => subscribe<CourierEvent>(ctx.pipeline, ctx.connection, input, signal)),

  history: procedure.input(checked(historyInput)).query(async ({ ctx, input, signal }): Promise<HistoryPage<CourierEvent>> => {
    const page = await history(ctx.pipeline.log, ctx.principal, input, signal ?? new AbortController().signal);
    return pageFor(ctx.answer, page);
  }),
});
