/** What a gateway stands on, and what those need that open it. */
import type { RevocationStore } from '../auth/revocations.ts';
import type { Broker } from '../broker/broker.ts';
import type { Peers } from '../cluster/peers.ts';
import type { Contract } from '../contract/contract.ts';
import type { ConnectionCounts, Limiter, Room } from '../limits/limiter.ts';
import type { EventLog } from '../log/log.ts';
import type { Failures } from '../observe/failures.ts';
import { LogOutage } from '../observe/log-outage.ts';
import type { Logger } from '../observe/logger.ts';
import type { UsageStore } from '../usage/usage.ts';
import type { Link } from '../workers/link.ts';

export interface Backends extends AsyncDisposable {
  readonly log: EventLog;
  readonly broker: Broker;
  readonly limiter: Limiter;
  readonly connections: ConnectionCounts;
  /** Counts of this instance alone. */
  readonly room: Room;
  readonly revocations: RevocationStore;
  readonly usage: UsageStore;
  readonly peers: Peers;
  /** The other workers of this instance. */
  readonly siblings: Peers;
}

/** Where revocations and uses of the contract are kept. */
export type Stores = Pick<Backends, 'revocations' | 'usage'>;

/** All but the log, and what is of this instance alone. */
export type Beside = Omit<Backends, 'log' | 'room' | 'siblings' | keyof AsyncDisposable>;

export interface BackendsDeps {
  readonly contract: Contract;
  readonly failures: Failures;
  readonly logger: Logger;
  /** Told when the log is beyond repair. */
  readonly onBroken: () => void;
  /** Ends what is waited for. */
  readonly signal: AbortSignal;
  /** To what the workers of this instance share, where it has several. */
  readonly link?: Link | undefined;
}

/** What to do when the log cannot be used. */
const LOG_ACTIONS = {
  sqlite: "look at the log's file and its disk, and do what the error says",
  postgres: 'look at PostgreSQL, and at the network to it; it is used again as soon as it can be',
};

/** Tells of outages of a log that is being opened. */
export function outageOf(kind: keyof typeof LOG_ACTIONS, log: Promise<EventLog>, { failures, logger }: BackendsDeps): LogOutage {
  const probe = async () => (await log).probe();
  return new LogOutage({ failures, logger: logger.named('log'), probe, action: LOG_ACTIONS[kind] });
}

/** Whom a log tells. @param what is the matter when it is beyond repair. */
export function toldOf(what: string, { failures, onBroken }: BackendsDeps, { onError }: LogOutage) {
  return {
    onError,
    onBroken: (error: unknown) => {
      failures.report('worker', what, error);
      onBroken();
    },
  };
}
