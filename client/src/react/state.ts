/** What a component sees of the channels that it asked for. */
import type { ConnectionState } from '../connection-state.ts';
import { CourierError } from '../errors.ts';
import type { CourierEvent, Gap } from '../events.ts';

/**
 * - `connecting`: for the first time, or again after the connection was lost, for the reason in `error`. What is published
 *   meanwhile will be given.
 * - `live`: connected, and everything that was there at the beginning was given. What a lost connection missed may still be
 *   on its way.
 * - `paused`: there is no channel to listen to.
 * - `failed`: nothing comes as things are, for the reason in `error`. After UNAUTHORIZED and FORBIDDEN it goes on where it
 *   was, once the client has a token that will do.
 */
export type ChannelStatus = 'connecting' | 'live' | 'paused' | 'failed';

/** The same object until something changes. */
export interface ChannelState<TEvent> {
  /** Oldest first; of all that came, as many as `history` says. The same array until it changes. */
  readonly events: readonly TEvent[];
  /** The last one that came. */
  readonly latest: TEvent | undefined;
  readonly status: ChannelStatus;
  /** Set from when events were missing, until `clear`: those of the last gap. */
  readonly gap: Gap | undefined;
  readonly error: CourierError | undefined;
  /** Forgets events and gap, for all components that share them. The same function as long as the channels are the same. */
  readonly clear: () => void;
}

export type Snapshot = Omit<ChannelState<CourierEvent>, 'clear'>;
export type Condition = Pick<Snapshot, 'status' | 'error'>;

/** Before anything has happened. */
export const CONNECTING: Snapshot = { events: [], latest: undefined, status: 'connecting', gap: undefined, error: undefined };
export const PAUSED: Snapshot = { ...CONNECTING, status: 'paused' };

/** What is shown without events. */
export function emptyBut(condition: Condition): Snapshot {
  return { ...CONNECTING, ...condition };
}

/** What the connection means to those who listen, as far as it goes. */
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

const CLOSED = new CourierError('CLOSED', 'the client was closed');
