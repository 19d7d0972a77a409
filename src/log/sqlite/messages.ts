/** What the SQLite log and the thread that owns its file say to each other. */
import type { Weight } from '../group-commit.ts';
import type { LogBounds, LogQuery, LogStart, StoredEvent } from '../log.ts';
import type { Epoch } from '../positions.ts';
import type { Moment } from '../steady-clock.ts';
import type { PackedAnswer, PackedCall, PackedPage } from './packing.ts';

export interface WorkerSettings {
  readonly path: string;
  /** It is not made when there is none. */
  readonly mustExist: boolean;
  /** Size of the file in bytes, at most; unbounded when undefined. */
  readonly maxBytes: number | undefined;
}

/** Each has an answer of its own. */
export type Question =
  | {
      readonly kind: 'read';
      readonly start: LogStart;
      readonly channels: LogQuery['channels'];
      readonly types: ReadonlySet<string> | undefined;
      readonly limit: number;
      /** It ends early when something is to be committed. */
      readonly givesWay: boolean;
    }
  | { readonly kind: 'trim'; readonly keepMs: number; readonly limit: number; readonly now: Moment }
  | { readonly kind: 'stored-at'; readonly seqs: readonly number[] }
  | { readonly kind: 'states'; readonly call: PackedCall }
  /** `abandon-copy` and `release-copy` have no answers of their own, and the `id` of the copy. */
  | { readonly kind: 'bounds' | 'bytes' | 'probe' | 'copy' | 'abandon-copy' | 'release-copy' | 'close' };

/** `id` names the question in its reply. Appends have no ids: they are settled in the order in which they were sent. */
export type Request = (Question & { readonly id: number }) | AppendRequest;

/** Some appends, which are stored in one commit. */
export interface AppendRequest extends Weight {
  readonly kind: 'append';
  readonly appends: number;
  /** An AppendFrame. */
  readonly frame: Uint8Array;
}

/** The way to the thread that owns the file, of this process or another. Requests and replies keep their order. */
export interface LogPort {
  post(request: Request): void;
  /** Once. The listener is told of the end of replies too, and of why, unless it was closed. */
  listen(listener: LogPortListener): void;
  /** Resolves when nothing is left of it. */
  close(): Promise<void>;
}

export interface LogPortListener {
  onReply(reply: Reply): void;
  onEnd(error: Error | undefined): void;
}

/** What the thread says of a log that it has opened. */
export interface Opened {
  readonly epochs: readonly [Epoch, ...Epoch[]];
  /** The time at the last append, as far as it was believed; undefined where there was none. */
  readonly knownMs: number | undefined;
}

export interface Answers {
  read: PackedPage;
  bounds: { readonly bounds: LogBounds; readonly disk: Disk };
  bytes: number;
  probe: undefined;
  trim: boolean;
  'stored-at': readonly (number | undefined)[];
  states: PackedAnswer;
  copy: CopyAnswer;
  close: undefined;
}

/** The path that the copy was written to, which is taken until it is released; or why there is none. */
export type CopyAnswer = { readonly path: string } | { readonly isBusy: boolean };

/** The file system that the file is on. */
export interface Disk {
  readonly bytes: number;
  /** For this user. */
  readonly freeBytes: number;
}

/** What a commit stored nothing for: the event with this index in it, as its key had `event` stored before. */
export interface Duplicate {
  readonly index: number;
  readonly event: StoredEvent;
}

export type Reply =
  | ({ readonly kind: 'opened' } & Opened)
  | { readonly kind: 'refused'; readonly message: string }
  /** The next so many appends were stored: their events, but for the duplicates, under the numbers from `first` on. */
  | {
      readonly kind: 'committed';
      readonly appends: number;
      readonly first: number;
      readonly duplicates: readonly Duplicate[];
    }
  | { readonly kind: 'answer'; readonly id: number; readonly value: Answers[keyof Answers] }
  /** Of the next so many appends, or of one question. */
  | ({ readonly kind: 'failed' } & Failure & ({ readonly appends: number } | { readonly id: number; readonly of: Question['kind'] }));

/** What went wrong: `reason` in words that callers may read, `detail` in SQLite's own, which may have more in them. */
export interface Failure {
  readonly reason: string;
  readonly detail: string;
}
