/** What the SQLite log's main thread and its worker say to each other. */
import type { ChannelFamily } from '../../contract/channels.ts';
import type { LogBounds, LogPage, LogStart, NewEvent, StoredEvent } from '../log.ts';
import type { Epoch } from '../positions.ts';
import type { Moment } from '../steady-clock.ts';

export interface WorkerSettings {
  readonly path: string;
  /** It is not made when there is none. */
  readonly mustExist: boolean;
  /** Size of the file in bytes, at most; unbounded when undefined. */
  readonly maxBytes: number | undefined;
}

/** `id` names the request in its reply. */
export type Request =
  | { readonly kind: 'append'; readonly id: number; readonly events: readonly NewEvent[]; readonly now: Moment }
  | {
      readonly kind: 'read';
      readonly id: number;
      readonly start: LogStart;
      /** `all` spares the list when every family is meant. */
      readonly families: readonly ChannelFamily[] | 'all';
      readonly singles: readonly string[];
      readonly types: readonly string[] | undefined;
      readonly limit: number;
    }
  | { readonly kind: 'bounds'; readonly id: number }
  | { readonly kind: 'bytes'; readonly id: number }
  | { readonly kind: 'trim'; readonly id: number; readonly keepMs: number; readonly limit: number; readonly now: Moment }
  | { readonly kind: 'copy'; readonly id: number }
  /** Has no reply of its own: `id` is that of the copy. */
  | { readonly kind: 'abandon-copy'; readonly id: number }
  | { readonly kind: 'close'; readonly id: number };

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
  | { readonly kind: 'page'; readonly id: number; readonly page: LogPage }
  | { readonly kind: 'bounds'; readonly id: number; readonly bounds: LogBounds; readonly disk: Disk }
  | { readonly kind: 'bytes'; readonly id: number; readonly bytes: number }
  | { readonly kind: 'trimmed'; readonly id: number; readonly more: boolean }
  /** The path that the copy was written to; undefined when it was abandoned. */
  | { readonly kind: 'copied'; readonly id: number; readonly path: string | undefined }
  | { readonly kind: 'closed'; readonly id: number }
  | {
      readonly kind: 'failed';
      readonly ids: readonly number[];
      readonly of: Request['kind'];
      readonly reason: string;
      readonly detail: string;
    };
