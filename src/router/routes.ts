/**
 * The router of a contract as a type that imports no code of the gateway: every procedure with its input and output.
 * `createTRPCClient<RouterOf<typeof contract>>` checks every call against it.
 */
import type {
  TRPCBuiltRouter,
  TRPCCreateRouterOptions,
  TRPCDecorateCreateRouterOptions,
  TRPCDefaultErrorData,
  TRPCDefaultErrorShape,
  TRPCMutationProcedure,
  TRPCQueryProcedure,
  TRPCSubscriptionProcedure,
} from '@trpc/server';
import type { ChannelActivity, Connections, ContractUsers, LogLevel, Recipients, Role, Series, Stats } from '../contract/admin.ts';
import type { Notice, StateNotice } from '../contract/envelope.ts';
import type { EventProcedureOf, RouteOf } from '../contract/names.ts';
import type {
  CourierEvent,
  EntityName,
  EventDraft,
  EventOn,
  EventType,
  EventTypeOf,
  EventTypeOn,
  Family,
  HistoryPage,
  IdField,
  Issue,
  PublishOutcome,
  Receipt,
  Service,
  StateItemOf,
  StatePage,
  TracePage,
  TypedContract,
} from '../contract/types.ts';

export interface ErrorShape extends TRPCDefaultErrorShape {
  data: TRPCDefaultErrorData & {
    /** The faults of an input whose form was refused. */
    issues?: readonly Issue[];
    /** After how many ms the same call may succeed. */
    retryAfterMs?: number;
    /** The channel whose limit is reached; absent where it is the caller's own. */
    channel?: string;
    /** Names the call in the gateway's log. */
    requestId?: string;
  };
}

type Query<TInput, TOutput> = TRPCQueryProcedure<{ input: TInput; output: TOutput; meta: object; errorShape: ErrorShape }>;
type Mutation<TInput, TOutput> = TRPCMutationProcedure<{ input: TInput; output: TOutput; meta: object; errorShape: ErrorShape }>;
/** A subscription gives every event and notice with its position. */
type Subscription<TInput, TEvent> = TRPCSubscriptionProcedure<{
  input: TInput;
  output: AsyncIterable<{ id: string; data: TEvent | Notice }, void, unknown>;
  meta: object;
  errorShape: ErrorShape;
}>;

/** Where a subscription starts. A tRPC client that reconnects fills in `lastEventId`. */
interface Start {
  from?: 'now' | 'earliest' | undefined;
  lastEventId?: string | undefined;
}

type Scalar = string | number | boolean;
/** What of the state is asked for. */
interface Selection<E extends string> {
  channels: string[];
  entities: E[];
  keys?: string[] | undefined;
  open?: boolean | undefined;
  where?: Record<string, Scalar | Scalar[]> | undefined;
}

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

/** `global.onEvent` needs no id, and `user.onEvent` takes the caller's own. */
type FamilyInput<C extends TypedContract, F extends string> = Start & { types?: EventTypeOn<C, F>[] | undefined } & (F extends 'global'
    ? unknown
    : F extends 'user'
      ? { user_id?: string | undefined }
      : { [K in IdField<C, F>]: string });
type FamilyRoute<C extends TypedContract, F extends string> = Subscription<
  F extends 'global' | 'user' ? FamilyInput<C, F> | undefined : FamilyInput<C, F>,
  EventOn<C, F extends 'global' ? 'global' : `${F}.*`>
>;
type FamilyRoutes<C extends TypedContract, R extends string> = {
  [F in Family<C> as R extends RouteOf<F> ? EventProcedureOf<F> : never]: FamilyRoute<C, F>;
};
type ServiceRoutes<C extends TypedContract, S extends string> =
  S extends Service<C> ? { publish: Mutation<EventDraft<C, EventTypeOf<C, S>>, Receipt<EventTypeOf<C, S>>> } : unknown;
type Flat<T> = { [K in keyof T]: T[K] };

type OwnRoutes<C extends TypedContract> = {
  [R in Service<C> | RouteOf<Family<C>>]: Flat<ServiceRoutes<C, R> & FamilyRoutes<C, R>>;
};

interface CommonRoutes<C extends TypedContract> {
  events: {
    publish: Mutation<EventDraft<C>, Receipt<EventType<C>>>;
    publishBatch: Mutation<EventDraft<C>[], Receipt<EventType<C>>[]>;
    publishEach: Mutation<EventDraft<C>[], PublishOutcome<EventType<C>>[]>;
    subscribe: Subscription<Start & { channels: string[]; types?: EventType<C>[] | undefined }, CourierEvent<C>>;
    history: Query<
      {
        channels: string[];
        types?: EventType<C>[] | undefined;
        order?: 'oldest' | 'newest' | undefined;
        after?: string | undefined;
        before?: string | undefined;
        limit?: number | undefined;
      },
      HistoryPage<CourierEvent<C>>
    >;
    trace: Query<
      {
        id?: string | undefined;
        correlation_id?: string | undefined;
        after?: string | undefined;
        limit?: number | undefined;
      },
      TracePage<CourierEvent<C>>
    >;
  };
  state: {
    get: Query<Selection<EntityName<C>> & { limit?: number | undefined; after?: string | undefined }, StatePage<StateItemOf<C>>>;
    watch: TRPCSubscriptionProcedure<{
      input: Selection<EntityName<C>> & { max_per_second?: number | undefined; lastEventId?: string | undefined };
      output: AsyncIterable<{ id: string; data: StateItemOf<C> | StateNotice }, void, unknown>;
      meta: object;
      errorShape: ErrorShape;
    }>;
  };
  auth: { whoami: Query<void, WhoAmI>; refresh: Mutation<{ token: string }, WhoAmI> };
  admin: {
    connections: Query<{ sub?: string | undefined } | undefined, Connections>;
    channels: Query<void, ChannelActivity[]>;
    stats: Query<void, Stats>;
    series: Query<void, Series>;
    recipients: Query<{ id: string; channel: string; type: string }, Recipients>;
    contractUsers: Query<void, ContractUsers>;
    disconnect: Mutation<{ connection_id: string }, { disconnected: boolean }>;
    revoke: Mutation<{ sub: string; role?: Role | undefined } | { jti: string }, { ended: number }>;
    setLogLevel: Mutation<{ level: LogLevel }, { level: LogLevel }>;
    rebuildState: Mutation<{ entity: string }, { entity: string }>;
  };
}

/** The router of a contract. */
export type RouterOf<C extends TypedContract> =
  Flat<OwnRoutes<C> & CommonRoutes<C>> extends infer R extends TRPCCreateRouterOptions
    ? TRPCBuiltRouter<{ ctx: object; meta: object; errorShape: ErrorShape; transformer: true }, TRPCDecorateCreateRouterOptions<R>>
    : never;
