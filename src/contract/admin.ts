/** What the gateway tells of itself, to admins and to services; and what they may say. */

export const ROLES = ['user', 'service', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type Transport = 'trpc' | 'plain';

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
  /** WebSocket connections. `total` and `transport` count those too that have not authenticated. */
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

export interface Connection extends ClientIdentity {
  readonly connection_id: string;
  readonly sub: string;
  readonly role: Role;
  readonly transport: Transport;
  readonly address: string;
  readonly since: Date;
  readonly expires_at: Date;
  readonly subscriptions: number;
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
