/**
 * The gateway's router as a type, without anything of the gateway: what `createTRPCClient<AppRouter>` needs to check every
 * call. A test holds it against the router itself.
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
/** Every item of a subscription comes with its position. */
type Subscription<TInput, TEvent> = TRPCSubscriptionProcedure<{
  input: TInput;
  output: AsyncIterable<{ id: string; data: TEvent | Notice }, void, unknown>;
  meta: object;
  errorShape: ErrorShape;
}>;

interface ErrorShape extends TRPCDefaultErrorShape {
  data: TRPCDefaultErrorData & {
    /** What is wrong with the input, where it was refused for its form. */
    issues?: readonly Issue[];
    /** After how many ms the same call may succeed. */
    retryAfterMs?: number;
    /** Names the call in the gateway's log. */
    requestId?: string;
  };
}

/** Where a subscription starts. `lastEventId` is filled in by tRPC clients that reconnect. */
interface Start {
  from?: 'now' | 'earliest' | undefined;
  lastEventId?: string | undefined;
}
/** @typeParam P a pattern for the channels of the family. */
type FamilyInput<P extends string> = Start & { types?: EventOn<P>['type'][] | undefined };

export interface WhoAmI {
  sub: string;
  role: Role;
  /** By the gateway's clock. */
  expires_at: Date;
  /** By the time of the answer. */
  expires_in_ms: number;
  /** Channels and, in the form `family.*`, whole families. */
  may_subscribe: string[];
  may_publish: string[];
  /** The hash of the contract that the gateway was made from. */
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
