/** What the supervisor and its workers ask and tell each other. */
import type { Revocation } from '../auth/revocations.ts';
import type { Questions } from '../cluster/peers.ts';
import type { Health, LogLevel } from '../contract/admin.ts';
import type { Placed } from '../log/sqlite/append-frames.ts';
import type { AppendRequest, Opened, Reply, Request } from '../log/sqlite/messages.ts';
import type { MetricFigures } from '../observe/metrics.ts';
import type { ContractClient } from '../usage/usage.ts';
import type { PackedCharges, PackedOutcomes } from './charges.ts';

/** Where a worker listens. */
export interface SharedPort {
  readonly port: number;
  /** Whether the kernel shares connections out. Where it cannot, the supervisor does. */
  readonly reusePort: boolean;
}

export interface Welcome {
  /** The worker's number: 1 to `workers`. One that takes the place of another has its number. */
  readonly worker: number;
  readonly workers: number;
  /** Names the instance that the workers are. */
  readonly instance: string;
  /** The hash of the contract, which was read at the start of the instance. */
  readonly contract: string;
  /** When the instance began, in ms since 1970. */
  readonly startedAt: number;
  readonly logLevel: LogLevel;
  /** The embedded log; undefined where workers have a server's. */
  readonly log: Opened | undefined;
}

export interface ScopedClaim {
  /** Counted for principals, or for the gateway as a whole. */
  readonly scope: ClaimScope;
  readonly key: string;
  readonly id: string;
}
export type ClaimScope = 'principal' | 'gateway';

type Told<Input> = { readonly input: Input; readonly answer: unknown };
type Asked<Input, Answer> = { readonly input: Input; readonly answer: Answer };

/** The frame of an append request is its bytes. */
export type LogRequest = Exclude<Request, AppendRequest> | Omit<AppendRequest, 'frame'>;

export interface ToSupervisor {
  log: Told<LogRequest>;
  /** Events that the worker has appended to a log that it shares with the others; they are the bytes. */
  appended: Told<undefined>;
  charge: Asked<PackedCharges, PackedOutcomes>;
  claim: Asked<ScopedClaim & { readonly most: number }, number | undefined>;
  release: Told<ScopedClaim>;
  count: Asked<Omit<ScopedClaim, 'id'>, number>;
  peers: Asked<{ readonly kind: keyof Questions; readonly question: unknown }, unknown[]>;
  /** The supervisor's too. The others are asked as peers. */
  setLogLevel: Told<Questions['logLevel']['question']>;
  loadRevocations: Asked<number, readonly Revocation[]>;
  addRevocation: Asked<{ readonly one: Revocation; readonly since: number }, void>;
  loadUsage: Asked<number, readonly ContractClient[]>;
  addUsage: Asked<{ readonly clients: readonly ContractClient[]; readonly today: number }, void>;
  metrics: Asked<undefined, { readonly contentType: string; readonly text: string }>;
  /** @param input the worker's own. */
  health: Asked<Health, Health>;
  /** Where to listen: answered when nobody else can come before. */
  port: Asked<undefined, SharedPort>;
  listening: Told<{ readonly url: string }>;
  /** What the worker has counted, now that it ends. */
  figures: Told<MetricFigures>;
  /** It ends, as it cannot start or go on: the code to end with, and a line for each problem that nobody was told of. */
  ending: Told<{ readonly code: number; readonly problems: readonly string[] }>;
}

export interface ToWorker {
  welcome: Told<Welcome>;
  log: Told<Reply>;
  /** There is no log any more, and why. */
  logEnded: Told<string>;
  /** Another worker has appended to the embedded log; the bytes are as it sent them. */
  placed: Told<Placed>;
  /** Another worker has appended to the server's log; its events are the bytes. */
  appended: Told<undefined>;
  /** Something was appended that was not told of. */
  hint: Told<undefined>;
  peer: Asked<{ readonly kind: keyof Questions; readonly question: unknown }, unknown>;
  metrics: Asked<undefined, MetricFigures>;
  health: Asked<undefined, Health>;
  ping: Asked<undefined, undefined>;
  drain: Told<undefined>;
}
