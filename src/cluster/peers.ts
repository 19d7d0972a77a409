/**
 * The other instances of the same gateway: how many there are, and asking them all the same thing. Nothing that must not
 * be lost goes this way.
 */
import type { LogLevel } from '../contract/admin.ts';
import type { LogContext } from '../observe/logger.ts';

export interface OldestStream {
  readonly connection_id: string;
  /** In ms since 1970. */
  readonly since: number;
}

/** What instances ask of each other, and what each of them answers. */
export interface Questions {
  stats: { question: null; answer: unknown };
  connections: { question: { sub: string | null }; answer: unknown };
  /** Its intervals of the last 15 minutes. */
  series: { question: null; answer: unknown };
  /** Its subscribers by channel and family. */
  channels: { question: null; answer: unknown };
  /** Its connections by client; it has written who used what. */
  contractUsers: { question: null; answer: unknown };
  recipients: { question: { seq: number; channel: string; type: string }; answer: unknown };
  disconnect: { question: { connection_id: string }; answer: boolean };
  /** The oldest stream of server-sent events that has a place of the principal's; null where there is none. */
  oldestStream: { question: { principal: string }; answer: OldestStream | null };
  /** Give up the place that this connection has as a stream of server-sent events. Whether it had one. */
  yieldPlace: { question: { principal: string; connection_id: string }; answer: boolean };
  /** A token was revoked: look at the revocations. */
  revoked: { question: null; answer: number };
  /** Log from this level on. Asked of workers of one instance only. */
  logLevel: { question: { level: LogLevel; by: LogContext }; answer: null };
}
export type QuestionKind = keyof Questions;

export type Answerers = {
  readonly [K in QuestionKind]: (question: Questions[K]['question']) => Questions[K]['answer'] | Promise<Questions[K]['answer']>;
};

export interface Peers extends AsyncDisposable {
  /** Instances that were last seen, this one among them. Workers of one machine are one instance. */
  readonly instances: number;
  /** Those who are asked, and this one: instances, or their workers. */
  readonly members: number;
  /** Asks the others. Resolves to the answers that came in time, JSON as it was sent. */
  ask<K extends QuestionKind>(kind: K, question: Questions[K]['question']): Promise<Questions[K]['answer'][]>;
  /** How this instance answers the others. */
  answer(answerers: Answerers): void;
}

/** A gateway of one instance. */
export const noPeers: Peers = {
  instances: 1,
  members: 1,
  ask: () => Promise.resolve([]),
  answer: () => undefined,
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
