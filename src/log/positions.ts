/**
 * The positions of a log: which position each number has, and which positions are this log's.
 *
 * A log begins a new epoch whenever it is opened in a state that may be older than one it was in before. A number that
 * was given out, was lost with a copy that was restored or a disk that lied, and is given out again, then has another
 * position: whoever has the old one is told, instead of missing what came between.
 */
import { randomInt } from 'node:crypto';
import { type Position, positionOf } from '../contract/position.ts';

export interface Epoch {
  /** 1 to 32 of a-z and 0-9. */
  readonly name: string;
  /** The first number that is given out under it. It ends where the next one begins. */
  readonly first: number;
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const NAME_LENGTH = 12;

/** A name that no other epoch has. */
export function newEpochName(): string {
  return Array.from({ length: NAME_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}

export class Positions {
  readonly #epochs: readonly Epoch[];
  readonly #current: Epoch;

  /** @param epochs all that the log ever had, oldest first. */
  constructor(epochs: readonly [Epoch, ...Epoch[]]) {
    this.#epochs = epochs;
    this.#current = epochs.at(-1) as Epoch;
  }

  /** The name of the epoch that numbers are given out under now. */
  get epoch(): string {
    return this.#current.name;
  }

  /** The position of the event with this number, or of the beginning for 0. */
  at(seq: number): string {
    if (seq >= this.#current.first) return positionOf(this.#current.name, seq);
    const epoch = this.#epochs.findLast(({ first }) => first <= seq) ?? (this.#epochs[0] as Epoch);
    return positionOf(epoch.name, seq);
  }

  /** Where a subscriber goes on that has everything up to `position`. @param head the last number given out. */
  resume({ epoch: name, seq }: Position, head: number): Resumption {
    const index = this.#epochs.findIndex((epoch) => epoch.name === name);
    if (index < 0) return { gap: 'epoch', afterSeq: undefined };
    // The epochs that follow have lost what comes after this number. They ascend, unless somebody has set the log back.
    const keptSeq = Math.min(...this.#epochs.slice(index + 1).map(({ first }) => first - 1));
    if (seq > keptSeq) return { gap: 'epoch', afterSeq: keptSeq };
    return seq > head ? { gap: 'ahead', afterSeq: head } : { gap: undefined, afterSeq: seq };
  }
}

export type Resumption =
  /** At the position. */
  | { readonly gap: undefined; readonly afterSeq: number }
  /**
   * The position is of a state of which everything after this number was lost. The number is undefined where the position is of
   * another log, or of an epoch that this log has lost altogether.
   */
  | { readonly gap: 'epoch'; readonly afterSeq: number | undefined }
  /** The position is past the end, which this number is. */
  | { readonly gap: 'ahead'; readonly afterSeq: number };
