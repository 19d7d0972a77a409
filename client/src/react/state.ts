/** The state that a component shows of its channels. */
import type { ConnectionState } from '../connection-state.ts';
import { type CourierError, clientClosed } from '../errors.ts';
import type { CourierEvent, Gap } from '../events.ts';

/**
 * - `connecting`: for the first time, or again after the connection was lost; `error` has the reason. Events that are published
 *   meanwhile will follow.
 * - `live`: connected, and every event stored at the start has come. Events that a lost connection missed may still follow.
 * - `paused`: the component has no channel to subscribe to.
 * - `failed`: no event comes; `error` has the reason. After UNAUTHORIZED and FORBIDDEN the subscription resumes once the client
 *   has a token with the right; after UNREACHABLE (`giveUpAfter`), once the gateway is back.
 */
export type ChannelStatus = 'connecting' | 'live' | 'paused' | 'failed';

/** The state is the same object until something changes. */
export interface ChannelState<TEvent> {
  /** The latest events, oldest first, at most `history` of them. The same array until it changes. */
  readonly events: readonly TEvent[];
  /** The latest event. */
  readonly latest: TEvent | undefined;
  readonly status: ChannelStatus;
  /** The last gap, until `clear`. */
  readonly gap: Gap | undefined;
  readonly error: CourierError | undefined;
  /** Clears events and gap, for all components that share the subscription. The same function as long as the channels are the same. */
  readonly clear: () => void;
}

export type Snapshot = Omit<ChannelState<CourierEvent>, 'clear'>;
export type Condition = Pick<Snapshot, 'status' | 'error'>;

/** The first snapshot. */
export const CONNECTING: Snapshot = { events: [], latest: undefined, status: 'connecting', gap: undefined, error: undefined };
export const PAUSED: Snapshot = { ...CONNECTING, status: 'paused' };

/** A snapshot without events. */
export function withoutEvents(condition: Condition): Snapshot {
  return { ...CONNECTING, ...condition };
}

/** The status that follows from the connection alone. */
export function conditionOf(connection: ConnectionState): Condition {
  switch (connection.status) {
    case 'idle':
      return { status: 'connecting', error: undefined };
    case 'connecting':
      return { status: 'connecting', error: connection.error };
    case 'connected':
      return { status: 'live', error: undefined };
    case 'refused':
      return { status: 'failed', error: connection.error };
    case 'closed':
      return { status: 'failed', error: CLOSED };
  }
}

const CLOSED = clientClosed();

/** Whether what failed so may be tried again once the gateway accepts the client: another token may have the rights. */
export function mayPass(failure: CourierError | undefined): boolean {
  return ['FORBIDDEN', 'UNAUTHORIZED', 'UNREACHABLE', 'NOT_FOUND', 'TOKEN_UNAVAILABLE'].includes(failure?.code ?? '');
}
