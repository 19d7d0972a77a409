/** The answers of the gateway to admins and services about itself, and the values that they may send. */

export const ROLES = ['user', 'service', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** tRPC over WebSocket, WebSocket without tRPC, server-sent events with or without tRPC. */
export const TRANSPORTS = ['trpc', 'plain', 'sse'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** How a client identifies itself; null when it does not. */
export interface ClientIdentity {
  /** Its name and version: `courier-client-typescript/0.1.0`. */
  readonly client: string | null;
  /** The hash of the contract that it was built with. */
  readonly contract: string | null;
}

/** Connections of clients that identify themselves in the same way. */
export interface ClientCount extends ClientIdentity {
  readonly connections: number;
}

export interface Stats {
  readonly version: string;
  /** The hash of the gateway's contract. */
  readonly contract: string;
  /** Seconds since the start of the instance that answers. */
  readonly uptime: number;
  /** The number of instances that the figures cover. */
  readonly instances: number;
  /** Their workers: processes that take connections. As many as instances where each is one process. */
  readonly workers: number;
  /** WebSockets and streams of server-sent events. `total` and `transport` also count those that have not authenticated. */
  readonly connections: {
    readonly total: number;
    readonly transport: Readonly<Record<Transport, number>>;
    readonly role: Readonly<Record<Role, number>>;
  };
  /** How the connected clients identify themselves: the 50 identities with the most connections. */
  readonly clients: readonly ClientCount[];
  readonly subscriptions: number;
  /** The channels and families with the most subscribers. */
  readonly channels: readonly { readonly channel: string; readonly subscribers: number }[];
  /** Events per second, on average over the last minute. */
  readonly rates: Readonly<Record<'published' | 'delivered' | 'replayed' | 'failures', number>>;
  readonly log: {
    readonly head: string;
    readonly first_retained: string;
    readonly events: number;
    /** The size of the log in its storage. */
    readonly bytes: number;
    /** Pages that the instance has read for subscribers since its start. */
    readonly reads: number;
  };
}

/** Latency within an interval, in ms: the median and the 99th percentile. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
}

/** The figures of one interval, of all instances. */
export interface Sample {
  /** The end of the interval. */
  readonly at: Date;
  /** Per second, on average over the interval. `refused` counts calls that the gateway refused for a fault of the caller. */
  readonly rates: Readonly<Record<'published' | 'delivered' | 'replayed' | 'failures' | 'refused', number>>;
  /** Connections at the end of the interval. */
  readonly connections: number;
  readonly subscriptions: number;
  /** From a publish call to its answer; null when nobody published. */
  readonly publish_ms: Latency | null;
  /** From the commit of events to their hand-over to the sockets of live subscribers; null when no subscriber received any. */
  readonly delivery_ms: Latency | null;
}

/** The last 15 minutes, or the time since the start. */
export interface Series {
  readonly interval_ms: number;
  /** Oldest first. */
  readonly samples: readonly Sample[];
}

/** A channel with subscribers or recent events, or a family in the form `family.*`. */
export interface ChannelActivity {
  readonly channel: string;
  /** Subscribers of the channel itself, or of the whole family. */
  readonly subscribers: number;
  /** About how many events per second came in the last minute. Zero for a family. */
  readonly rate: number;
  /** Null when no event came since the start of the instance that answers. */
  readonly last_event: { readonly id: string; readonly type: string; readonly at: Date } | null;
}

/** A connection that subscribes to the channel of an event. */
export interface Recipient {
  readonly connection_id: string;
  readonly sub: string;
  readonly role: Role;
  readonly transport: Transport;
  /** Whether the subscriber has handed the event to the socket; otherwise it still catches up, and will. */
  readonly handed: boolean;
}

export interface Recipients {
  readonly total: number;
  /** At most a hundred of each instance. */
  readonly recipients: readonly Recipient[];
}

export interface Connection extends ClientIdentity {
  readonly connection_id: string;
  readonly sub: string;
  readonly role: Role;
  readonly transport: Transport;
  readonly address: string;
  readonly since: Date;
  readonly expires_at: Date;
  readonly subscriptions: number;
  /** The channels that the connection subscribes to, families in the form `family.*`; 50 at most. */
  readonly channels: readonly string[];
  /** Bytes that the client has yet to read. */
  readonly buffered_bytes: number;
  /** The worker that has it, by its number in its instance; null where the instance is one process. */
  readonly worker: number | null;
  /** Events in the log after the slowest subscription's cursor, whether its filter selects them or not. */
  readonly lag: number;
}

export interface Connections {
  readonly total: number;
  /** Oldest first, at most a thousand of each instance. */
  readonly connections: readonly Connection[];
}

/** A client of a principal that used the contract within the last 30 days, whether or not it is connected. */
export interface ContractUser extends ClientIdentity {
  readonly sub: string;
  readonly role: Role;
  /** The types that it published. */
  readonly published: readonly string[];
  /** The types that its subscriptions and reads of history selected. */
  readonly subscribed: readonly string[];
  /** The families of the channels that it used, in the form `family.*`. */
  readonly channels: readonly string[];
  /** Its connections now. */
  readonly connections: number;
  /** The day of its last use in UTC: `2026-01-31`. */
  readonly last_seen: string;
}

export interface ContractUsers {
  readonly total: number;
  /** Services first, then admins, then users; who used something last comes first; a thousand and 2 MiB at most. */
  readonly users: readonly ContractUser[];
}

/** The health of the gateway or of a part of it. `degraded` still works. */
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy' | 'shutting_down';

/** A part of the gateway, as `GET /health` reports it. */
export interface Component {
  readonly status: HealthStatus;
  /** What to do; present when the component is not healthy. */
  readonly action?: string;
  readonly [figure: string]: unknown;
}

/** The answer to `GET /health`, about the instance that answers: about all of its workers. */
export interface Health {
  readonly status: HealthStatus;
  readonly timestamp: string;
  /** Seconds since the start of the instance. */
  readonly uptime: number;
  readonly version: string;
  readonly components: HealthComponents;
}

/** The parts by name, with their figures. */
export type HealthComponents = Readonly<Record<string, Component>> & {
  readonly websocket_server: Component & {
    readonly connections: number;
    readonly active_connections: number;
    /** Single channels and families that somebody subscribes to. */
    readonly active_channels: number;
    readonly event_loop_late_ms: number;
  };
  /** With PostgreSQL, `pool`: the connections to it, and those who wait for one. */
  readonly event_log: Component & { readonly pool?: PoolFigures };
  readonly broker: Component & { readonly kind: 'local' | 'redis' };
  /** Present where Redis is configured. Its last round trip took `latency_ms`, or has taken so long already; absent while it is away. */
  readonly redis?: Component & { readonly latency_ms?: number };
  /** Present where the contract has entities: events that were not folded into states yet, and events since their last checkpoint. */
  readonly state?: Component & { readonly behind: number | null; readonly unstored: number; readonly watches: number };
  /** What is used of the limit that is nearer: that of the heap, or of the container. */
  readonly memory: Component & { readonly usage_mb: number; readonly limit_mb: number };
  /** Present where there are several: how many serve, of how many, and how many were started in the place of one that had ended. */
  readonly workers?: Component & { readonly running: number; readonly configured: number; readonly restarts: number };
  /** Failures that are no caller's fault in the last minute, and how many those are for each call. */
  readonly errors: Component & { readonly last_minute: number; readonly share_of_calls: number };
};

/** Connections to a server of which several are kept. */
export interface PoolFigures {
  readonly total: number;
  readonly idle: number;
  /** Queries that wait for a connection. */
  readonly waiting: number;
}
