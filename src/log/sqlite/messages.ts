/** What the SQLite log's main thread and its worker say to each other. */
import type { ChannelSet } from '../../contract/channels.ts';
import type { Appended, LogBounds, LogPage, LogStart, NewEvent, StoredEvent } from '../log.ts';
import type { Epoch } from '../positions.ts';
import type { Moment } from '../steady-clock.ts';

export interface WorkerSettings {
  readonly path: string;
  /** It is not made when there is none. */
  readonly mustExist: boolean;
  /** Size of the file in bytes, at most; unbounded when undefined. */
  readonly maxBytes: number | undefined;
}

export type Question =
  | { readonly kind: 'append'; readonly events: readonly NewEvent[]; readonly now: Moment }
  | {
      readonly kind: 'read';
      readonly start: LogStart;
      readonly channels: ChannelSet | 'all';
      readonly types: ReadonlySet<string> | undefined;
      readonly limit: number;
    }
  | { readonly kind: 'trim'; readonly keepMs: number; readonly limit: number; readonly now: Moment }
  /** `abandon-copy` has no answer of its own, and the `id` of the copy. */
  | { readonly kind: 'bounds' | 'bytes' | 'probe' | 'copy' | 'abandon-copy' | 'close' };

/** `id` names the request in its reply. */
export type Request = Question & { readonly id: number };

export interface Answers {
  append: readonly Appended[];
  read: LogPage;
  bounds: { readonly bounds: LogBounds; readonly disk: Disk };
  bytes: number;
  probe: undefined;
  trim: boolean;
  /** The path that the copy was written to; undefined when it was abandoned. */
  copy: string | undefined;
  close: undefined;
}

/** The file system that the file is on. */
export interface Disk {
  readonly bytes: number;
  /** For this user. */
  readonly freeBytes: number;
}

/** Where one new event is: its number, or the event that was stored under its key before. */
export type Placement = number | StoredEvent;

export type Reply =
  | {
      readonly kind: 'opened';
      readonly epochs: readonly [Epoch, ...Epoch[]];
      /** The time at the last append, as far as it was believed; undefined where there was none. */
      readonly knownMs: number | undefined;
    }
  | { readonly kind: 'refused'; readonly message: string }
  /** One commit: the placements of every append in it, in order. */
  | { readonly kind: 'committed'; readonly appends: readonly { readonly id: number; readonly placements: readonly Placement[] }[] }
  | { readonly kind: 'answer'; readonly id: number; readonly value: Answers[keyof Answers] }
  | {
      readonly kind: 'failed';
      readonly ids: readonly number[];
      readonly of: Request['kind'];
      readonly reason: string;
      readonly detail: string;
    };
