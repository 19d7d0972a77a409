/** What the gateway counts about itself. Labels are of closed sets: never a channel, a user or anything that a caller chose. */
import type { Transport } from '../contract/admin.ts';
import type { GapReason } from '../contract/envelope.ts';
import type { LimitedAction } from '../limits/limits.ts';

export type Surface = 'trpc' | 'http' | 'websocket';
/** Where a failure was noticed that is no caller's fault. */
export type FailureKind = 'call' | 'request' | 'websocket' | 'log' | 'state' | 'worker' | 'process';

export interface Meter {
  connectionOpened(transport: Transport): void;
  /** `code`: that of the close frame. */
  connectionClosed(transport: Transport, code: number): void;
  /** A token was refused, or could not be checked. */
  authFailed(reason: 'invalid' | 'revoked' | 'unknown_key' | 'unavailable'): void;
  /** A call is made, by somebody who is known. */
  called(): void;
  /** A call was refused because of a limit. */
  limited(limit: LimitedAction | 'channel' | 'connections' | 'address'): void;
  /** An input was refused because of its form. */
  invalid(surface: Surface): void;
  /** A publish ended: with events of these types stored, or with none. */
  published(types: readonly string[], seconds: number): void;
  publishFailed(seconds: number): void;
  /** Events were handed to subscribers: copies count. */
  delivered(copies: number): void;
  /** From the commit being known here until the events were handed to the subscribers' sockets. */
  deliveryTook(seconds: number): void;
  /** Events were handed over from the log or from memory, to a subscriber that was not live. */
  replayed(events: number): void;
  gap(reason: GapReason): void;
  /** A subscriber began (1) or ceased (-1) to catch up. */
  catchingUp(change: 1 | -1): void;
  /** A message came over a WebSocket, or its frame was made for it. */
  message(direction: 'in' | 'out', bytes: number): void;
  /** Something failed that is no caller's fault. */
  failed(kind: FailureKind): void;
}

const nothing = () => undefined;

/** Counts nothing. */
export const noMeter: Meter = {
  connectionOpened: nothing,
  connectionClosed: nothing,
  authFailed: nothing,
  called: nothing,
  limited: nothing,
  invalid: nothing,
  published: nothing,
  publishFailed: nothing,
  delivered: nothing,
  deliveryTook: nothing,
  replayed: nothing,
  gap: nothing,
  catchingUp: nothing,
  message: nothing,
  failed: nothing,
};
