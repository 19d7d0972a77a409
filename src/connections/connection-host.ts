/** What a connection is made of, and what it asks of the registry that it is in. */
import type { Principal } from '../auth/principal.ts';
import type { Credentials } from '../auth/tokens.ts';
import type { Transport } from '../contract/admin.ts';
import type { LimitedAction } from '../limits/limits.ts';
import type { ByteQuota } from './byte-quota.ts';
import type { Admitted, ChannelRefusals } from './charges.ts';

/** @typeParam C the connections. */
export interface ConnectionHost<C> {
  /** Whose token was verified a moment ago. */
  known(credentials: Credentials): Principal | undefined;
  /** @throws {CourierError} UNAUTHORIZED; TOO_MANY_REQUESTS for an address with too many wrong tokens; SERVICE_UNAVAILABLE */
  authenticate(credentials: Credentials, address: string): Promise<Principal>;
  /** Takes one of the principal's places for it. @throws {CourierError} TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE when there is none. */
  claim(connection: C, principal: Principal): Promise<void>;
  isRevoked(principal: Principal): boolean;
  /** Memory for requests and their answers. */
  readonly requestBytes: ByteQuota;
  /** Memory for the channels that subscriptions name. */
  readonly channelBytes: ByteQuota;
  turn(bytes: number): Promise<void> | undefined;
  /** @throws {CourierError} UNAUTHORIZED */
  verify(token: string): Promise<Principal>;
  /** @throws {CourierError} TOO_MANY_REQUESTS with `retryAfterMs`. */
  charge(connection: C, action: LimitedAction, cost: number): Promise<void> | undefined;
  /** @throws {CourierError} TOO_MANY_REQUESTS with `retryAfterMs`. */
  chargeChannels(connection: C, events: readonly { readonly channel: string }[]): Promise<void> | undefined;
  chargeEach(connection: C, count: number): Promise<Admitted>;
  chargeChannelsEach(connection: C, events: readonly { readonly channel: string }[]): Promise<ChannelRefusals>;
  onOpen(connection: C): void;
  /** Its places are to be given back. `wasOpen`: it had a principal. */
  onClosing(connection: C, wasOpen: boolean): void;
  /** @param code that it was closed with. */
  onClosed(connection: C, code: number): void;
}

export interface ConnectionOptions {
  readonly id: string;
  /** Names the request that it came with in the log. */
  readonly requestId: string;
  /** Absent for one request, which has no place of its own and is listed nowhere. */
  readonly transport: Transport | undefined;
  /** Of that request. */
  readonly path: string;
  /** The client's. */
  readonly address: string;
  /** The page that it is of, if any. */
  readonly origin?: string | undefined;
  /** How long the client may take to say who it is, in ms. */
  readonly openingMs: number;
}
