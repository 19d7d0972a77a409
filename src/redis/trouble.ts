/**
 * Why Redis cannot be used, or not for everything, in plain words: what is the matter and what to do first. Nothing of what
 * Redis itself said is in them, and no address, as anybody may ask for the gateway's health.
 */
import { ErrorReply } from 'redis';

export interface Trouble {
  readonly kind: keyof typeof REFUSALS | 'away' | 'sentinels' | 'unknown';
  /** One line, without an end. */
  readonly words: string;
  /** What Redis answered, for the log. */
  readonly answer: string | undefined;
}

interface Refusal {
  /** What is in Redis' answer. Scripts have the code of a refusal within their own answer before Redis 7. */
  readonly answers: RegExp;
  readonly words: string;
}

/** Redis is there, and refuses. */
const REFUSALS = {
  full: {
    answers: /(^|-)OOM\b/,
    words: 'Redis is full: raise its maxmemory, or let it evict (maxmemory-policy volatile-ttl)',
  },
  readOnly: {
    answers: /(^|-)(READONLY|MASTERDOWN)\b/,
    words: 'Redis takes no writes, as it is a replica: wait for the failover to end, or name the master in COURIER_BROKER',
  },
  unreplicated: {
    answers: /(^|-)NOREPLICAS\b/,
    words: 'Redis takes no writes without its replicas: bring them back, or lower min-replicas-to-write',
  },
  unsaved: {
    answers: /(^|-)MISCONF\b/,
    words: 'Redis takes no writes, as it cannot save to its disk: give the disk room, or turn saving off',
  },
  rights: {
    answers: /(^|-)NOPERM\b|ACL failure|The user executing the script can't/,
    words: 'Redis refuses its user a command, a key or a channel: give the user the rights that the manual lists',
  },
  password: {
    answers: /^(NOAUTH|WRONGPASS)\b|^ERR AUTH\b/,
    words: 'Redis refuses the password: start with the present one in COURIER_BROKER',
  },
  loading: {
    answers: /(^|-)LOADING\b/,
    words: 'Redis is loading its data: wait for it',
  },
  busy: {
    answers: /(^|-)BUSY\b/,
    words: "Redis is busy with somebody's script: wait for it, or end it (SCRIPT KILL)",
  },
  crowded: {
    answers: /max number of clients/,
    words: 'Redis takes no more connections: raise its maxclients',
  },
  old: {
    answers: /^(NOPROTO\b|ERR unknown command)/i,
    words: 'Redis does not know a command that Courier needs: it must be Redis 6.2 or later, or Valkey, with no command renamed',
  },
} satisfies Record<string, Refusal>;

/** Characters of an answer that go to the log, at most. */
const MAX_ANSWER_CHARACTERS = 200;

/** Something is wrong with the Sentinels, which is said in plain words. */
export class SentinelError extends Error {
  override readonly name = 'SentinelError';
}

/** What an error of a command or a connection means. */
export function troubleOf(error: unknown): Trouble {
  if (error instanceof SentinelError) return { kind: 'sentinels', words: error.message, answer: undefined };
  if (!(error instanceof ErrorReply)) {
    return {
      kind: 'away',
      words: `Redis is away (${awayReason(error)}): look at Redis, and at the network to it`,
      answer: undefined,
    };
  }
  const answer = error.message.slice(0, MAX_ANSWER_CHARACTERS);
  for (const [kind, { answers, words }] of Object.entries(REFUSALS) as [keyof typeof REFUSALS, Refusal][]) {
    if (answers.test(error.message)) return { kind, words, answer };
  }
  const code = /^[A-Z]{1,30}\b/.exec(error.message)?.[0] ?? 'an error';
  return { kind: 'unknown', words: `Redis refuses what it is asked (${code}): the gateway's log has its answer`, answer };
}

/** Why a connection failed: a code, which has no address in it as messages of the system do, or the client's own words. */
export function awayReason(error: unknown): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'no answer';
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.message : 'unknown';
}
