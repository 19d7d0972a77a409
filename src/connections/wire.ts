/** What a connection needs of its transport: how to say something, how to say goodbye, how to cut. */
import { type CloseCode, meaningOf } from '../contract/codes.ts';
import { CourierError } from '../errors.ts';

/** How long a client may take to go after the goodbye, in ms. */
export const CLOSING_MS = 1000;

/** Why a connection ends, and what its client is told. */
export interface Ending {
  /** Of the close frame. */
  readonly close: CloseCode;
  /** What its calls are answered with from now on; its message is the reason in the close frame, behind `forbidden: ` for FORBIDDEN. */
  readonly error: CourierError;
}

/** The end that an error means. */
export function endingOf(error: CourierError): Ending {
  return { close: error.close ?? meaningOf(error.code).close, error };
}

export const DRAINING: Ending = {
  close: 1001,
  error: new CourierError('SERVICE_UNAVAILABLE', 'shutting down', { retryAfterMs: 1000 }),
};
export const NO_AUTHENTICATION: Ending = { close: 4408, error: new CourierError('UNAUTHORIZED', 'no authentication in time') };
/** There are as many connections as the gateway takes. */
export const FULL: Ending = endingOf(new CourierError('SERVICE_UNAVAILABLE', 'the gateway is full', { retryAfterMs: 1000 }));
/** As many of its address wait as may. */
export const TOO_MANY_WAIT: Ending = endingOf(
  new CourierError('TOO_MANY_REQUESTS', 'too many connections of this address have yet to authenticate', {
    retryAfterMs: 1000,
    close: 1013,
  }),
);
/** Not the client's fault: it may come back. */
export const UNCHECKED = endingOf(
  new CourierError('SERVICE_UNAVAILABLE', 'the token could not be checked in time', { retryAfterMs: 1000 }),
);
export const EXPIRED = endingOf(new CourierError('UNAUTHORIZED', 'the token has expired'));
export const REVOKED = endingOf(new CourierError('UNAUTHORIZED', 'the token was revoked'));
export const TOO_GREEDY = endingOf(new CourierError('TOO_MANY_REQUESTS', 'limits exceeded for too long'));
/** Nobody is there to be told. */
export const GONE = new CourierError('SERVICE_UNAVAILABLE', 'the client has gone', { retryAfterMs: 0 });
export const STALLED: Ending = { close: 4509, error: new CourierError('SERVICE_UNAVAILABLE', 'no progress', { retryAfterMs: 0 }) };

/** A transport's end of one connection. None of these throws, and only `drain` waits. */
export interface Wire {
  /** Bytes that came so far: that they grow shows that the client lives. */
  readonly bytesRead: number;
  /** False while the client is not read: its silence shows nothing then. */
  readonly isRead: boolean;
  /** Bytes that have not left for the kernel. */
  readonly bufferedBytes: number;
  /** Whether its client is told by a close frame why it ends. */
  readonly hasCloseFrames: boolean;
  /** Whether a client that lives answers a ping. */
  readonly answersPings: boolean;
  ping(): void;
  /** Takes nothing more from the client, tells it why, and ends; called once. A client that does not end in time is cut off. */
  goodbye(ending: Ending): void;
  /** Cuts the connection off. */
  destroy(): void;
  /**
   * Asks the client to go elsewhere, before `goodbye`. Resolves when what the client has begun is done, when `signal` aborts
   * or when the client has gone. Absent where there is nothing to ask or to wait for.
   */
  drain?(signal: AbortSignal): Promise<void>;
}
