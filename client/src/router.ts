/**
 * The gateway's router as a type that imports no code of the gateway. `createTRPCClient<AppRouter>` checks every call against
 * it, and a test compares it with the router itself.
 */

import type {
  TRPCBuiltRouter,
  TRPCDecorateCreateRouterOptions,
  TRPCDefaultErrorData,
  TRPCDefaultErrorShape,
  TRPCMutationProcedure,
  TRPCQueryProcedure,
  TRPCSubscriptionProcedure,
} from '@trpc/server';
import type { ChannelActivity, Connections, LogLevel, Recipients, Role, Series, Stats } from '../../src/contract/admin.ts';
import type { EventType, EventTypesByService } from './contract.ts';
import type { Issue } from './errors.ts';
import type { CourierEvent, EventDraft, EventOn, HistoryPage, Notice, Receipt } from './events.ts';

type Query<TInput, TOutput> = TRPCQueryProcedure<{ input: TInput; output: TOutput; meta: object; errorShape: ErrorShape }>;
type Mutation<TInput, TOutput> = TRPCMutationProcedure<{ input: TInput; output: TOutput; meta: object; errorShape: ErrorShape }>;
/** A subscription gives every event and notice with its position. */
type Subscription<TInput, TEvent> = TRPCSubscriptionProcedure<{
  input: TInput;
  output: AsyncIterable<{ id: string; data: TEvent | Notice }, void, unknown>;
  meta: object;
  errorShape: ErrorShape;
}>;

interface ErrorShape extends TRPCDefaultErrorShape {
  data: TRPCDefaultErrorData & {
    /** The faults of an input whose form was refused. */
    issues?: readonly Issue[];
    /** After how many ms the same call may succeed. */
    retryAfterMs?: number;
    /** Names the call in the gateway's log. */
    requestId?: string;
  };
}

/** Where a subscription starts. A tRPC client that reconnects fills in `lastEventId`. */
interface Start {
  from?: 'now' | 'earliest' | undefined;
  lastEventId?: string | undefined;
}
/** @typeParam P a pattern for the channels of the family. */
type FamilyInput<P extends string> = Start & { types?: EventOn<P>['type'][] | undefined };

export interface WhoAmI {
  sub: string;
  role: Role;
  /** When the token expires, by the gateway's clock. */
  expires_at: Date;
  /** The time until then, when the gateway answered. */
  expires_in_ms: number;
  /** Channels, and whole families in the form `family.*`. */
  may_subscribe: string[];
  may_publish: string[];
  /** The hash of the gateway's contract. */
  contract: string;
}

type ServiceRouter<S extends keyof EventTypesByService> = {
  publish: Mutation<EventDraft<EventTypesByService[S]>, Receipt<EventTypesByService[S]>>;
};

type Routes = {
  prophet: ServiceRouter<'prophet'>;
  cartographe: ServiceRouter<'cartographe'>;
  chevalier: ServiceRouter<'chevalier'>;
  forge: ServiceRouter<'forge'> & {
    onJob: Subscription<FamilyInput<'forge.job.*'> & { job_id: string }, EventOn<'forge.job.*'>>;
  };
  events: {
    publish: Mutation<EventDraft, Receipt>;
    publishBatch: Mutation<EventDraft[], Receipt[]>;
    subscribe: Subscription<Start & { channels: string[]; types?: EventType[] | undefined }, CourierEvent>;
    history: Query<
      {
        channels: string[];
        types?: EventType[] | undefined;
        order?: 'oldest' | 'newest' | undefined;
        after?: string | undefined;
        before?: string | undefined;
        limit?: number | undefined;
      },
      HistoryPage<CourierEvent>
    >;
  };
  global: { onEvent: Subscription<FamilyInput<'global'> | undefined, EventOn<'global'>> };
  user: { onEvent: Subscription<(FamilyInput<'user.*'> & { user_id?: string | undefined }) | undefined, EventOn<'user.*'>> };
  strategy: { onEvent: Subscription<FamilyInput<'strategy.*'> & { strategy_id: string }, EventOn<'strategy.*'>> };
  backtest: { onEvent: Subscription<FamilyInput<'backtest.*'> & { backtest_id: string }, EventOn<'backtest.*'>> };
  auth: { whoami: Query<void, WhoAmI>; refresh: Mutation<{ token: string }, WhoAmI> };
  admin: {
    connections: Query<{ sub?: string | undefined } | undefined, Connections>;
    channels: Query<void, ChannelActivity[]>;
    stats: Query<void, Stats>;
    series: Query<void, Series>;
    recipients: Query<{ id: string; channel: string; type: string }, Recipients>;
    disconnect: Mutation<{ connection_id: string }, { disconnected: boolean }>;
    revoke: Mutation<{ sub: string; role?: Role | undefined } | { jti: string }, { ended: number }>;
    setLogLevel: Mutation<{ level: LogLevel }, { level: LogLevel }>;
  };
};

export type AppRouter = TRPCBuiltRouter<
  { ctx: object; meta: object; errorShape: ErrorShape; transformer: true },
  TRPCDecorateCreateRouterOptions<Routes>
>;
