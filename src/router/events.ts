/** Publishing, by service or of any event, and `events.*`: subscribing to and reading any channels. */
import { z } from 'zod';
import {
  type CourierEvent,
  draftList,
  draftUnion,
  EVENT_TYPES,
  type EventType,
  type EventTypeOf,
  SERVICE_NAMES,
  type Service,
} from '../contract/events/index.ts';
import { position } from '../contract/position.ts';
import { DEFAULT_HISTORY_LIMIT, HISTORY_ORDERS, type HistoryPage, history, MAX_HISTORY_LIMIT } from '../history.ts';
import { publish, type Receipt } from '../publish.ts';
import { subscribe } from '../subscribe.ts';
import { pageFor } from './event-page.ts';
import { checked, procedure, publishingAny, publishingFor, publishingMany, router, subscription } from './trpc.ts';

/** Channels and patterns in one subscription or read, at most. */
export const MAX_CHANNELS = 100;

const channelList = z.array(z.string()).min(1).max(MAX_CHANNELS).describe('Channel names and patterns.');
export const typeList = typeListOf(EVENT_TYPES);
/** Where a subscription starts. A tRPC client that reconnects fills in `lastEventId`. */
export const startInput = {
  from: z
    .enum(['now', 'earliest'])
    .optional()
    .describe('Where to start without a position, or with one that cannot be resumed from; `now` when absent.'),
  lastEventId: position.optional(),
};
/** A list of some of `types`. */
export function typeListOf<T extends EventType>(types: readonly T[]) {
  return z.array(z.enum(types)).min(1).max(types.length).describe('Only events of these types.');
}

/** The draft of an event of any service. */
export const anyDraft = draftUnion(SERVICE_NAMES);

/** `{service}.publish`: the mutation with which a service, or an admin, publishes the events of this service only. */
export function servicePublish<S extends Service>(service: S) {
  return publishingFor(service)
    .input(checked(draftUnion([service])))
    .mutation(async ({ ctx, input }): Promise<Receipt & { type: EventTypeOf<S> }> => {
      const [receipt] = await publish(ctx.pipeline, ctx, [input]);
      return receipt as Receipt & { type: EventTypeOf<S> };
    });
}

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
