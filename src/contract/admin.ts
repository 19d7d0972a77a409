/** What the gateway tells of itself, to admins and to services; and what they may say. */

export const ROLES = ['user', 'service', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** tRPC over WebSocket, WebSocket without tRPC, server-sent events with or without tRPC. */
export const TRANSPORTS = ['trpc', 'plain', 'sse'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** What a client says that it is; null where it does not say. */
export interface ClientIdentity {
  /** Its name and version: `courier-client-typescript/0.1.0`. */
  readonly client: string | null;
  /** The hash of the contract that it was built with. */
  readonly contract: string | null;
}

/** Connections of clients that say the same of themselves. */
export interface ClientCount extends ClientIdentity {
  readonly connections: number;
}

export interface Stats {
  readonly version: string;
  /** The hash of the gateway's contract. */
  readonly contract: string;
  /** Seconds since the start, of the instance that was asked. */
  readonly uptime: number;
  /** Instances that these are the figures of. */
  readonly instances: number;
  /** Connections that last: WebSockets, and streams of server-sent events. `total` and `transport` count those too that have not authenticated. */
  readonly connections: {
    readonly total: number;
    readonly transport: Readonly<Record<Transport, number>>;
    readonly role: Readonly<Record<Role, number>>;
  };
  /** What the connected clients say that they are: the 50 with the most connections, null where they do not say. */
  readonly clients: readonly ClientCount[];
  readonly subscriptions: number;
  /** The channels and families with the most subscribers. */
  readonly channels: readonly { readonly channel: string; readonly subscribers: number }[];
  /** A second, on average over the last minute. */
  readonly rates: Readonly<Record<'published' | 'delivered' | 'replayed' | 'failures', number>>;
  readonly log: {
    readonly head: string;
    readonly first_retained: string;
    readonly events: number;
    /** What it takes in its storage. */
    readonly bytes: number;
    /** Pages read for subscribers since the start. */
    readonly reads: number;
  };
}

/** How long something took within an interval, in ms: half of it, and 99 % of it, took no longer. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
}

/** What was counted in one interval, of all instances. */
export interface Sample {
  /** When the interval ended. */
  readonly at: Date;
  /** A second, on average over the interval. `refused` are calls that were refused for their caller's fault. */
  readonly rates: Readonly<Record<'published' | 'delivered' | 'replayed' | 'failures' | 'refused', number>>;
  /** Connections at the end of it. */
  readonly connections: number;
  readonly subscriptions: number;
  /** From a publish call to its answer; null when there was none. */
  readonly publish_ms: Latency | null;
  /** From the commit of events to their hand-over to live subscribers' sockets; null when nobody was given any. */
  readonly delivery_ms: Latency | null;
}

/** The last 15 minutes, or those since the start. */
export interface Series {
  readonly interval_ms: number;
  /** Oldest first. */
  readonly samples: readonly Sample[];
}

/** A channel that somebody subscribes to or that events came on lately, or a family in the form `family.*`. */
export interface ChannelActivity {
  readonly channel: string;
  /** Those of the channel itself, or of the whole family. */
  readonly subscribers: number;
  /** Events a second, about: what counts is the last minute. Zero for a family. */
  readonly rate: number;
  /** Null when none came since the instance that was asked started. */
  readonly last_event: { readonly id: string; readonly type: string; readonly at: Date } | null;
}

/** A connection that subscribes to what an event was published on. */
export interface Recipient {
  readonly connection_id: string;
  readonly sub: string;
  readonly role: Role;
  readonly transport: Transport;
  /** Whether the event was handed to its socket; otherwise it will be, as the connection has yet to catch up. */
  readonly handed: boolean;
}

export interface Recipients {
  readonly total: number;
  /** A hundred of each instance at most. */
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
  /** The channels that it subscribes to, families in the form `family.*`; 50 at most. */
  readonly channels: readonly string[];
  /** Bytes that wait for the client to read. */
  readonly buffered_bytes: number;
  /** Events that the slowest subscription has yet to be given, whether it wants them or not. */
  readonly lag: number;
}

export interface Connections {
  readonly total: number;
  /** Oldest first, a thousand of each instance at most. */
  readonly connections: readonly Connection[];
}

/** How the gateway, or a part of it, is: `degraded` still works. */
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy' | 'shutting_down';

/** A part of the gateway, as `GET /health` gives it. */
export interface Component {
  readonly status: HealthStatus;
  /** What to do; set when the component is not healthy. */
  readonly action?: string;
  readonly [figure: string]: unknown;
}

/** What `GET /health` answers, of the instance that was asked. */
export interface Health {
  readonly status: HealthStatus;
  readonly timestamp: string;
  /** Seconds since the start. */
  readonly uptime: number;
  readonly version: string;
  readonly components: Readonly<Record<string, Component>>;
}
