/** The lines of an input that are not empty, with their numbers. */
import { createInterface, type Interface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long the rest is counted, in ms: a pipe may have no end. */
const COUNTING_MS = 1000;

export interface InputLine {
  readonly text: string;
  readonly number: number;
}

export class InputLines {
  readonly #reader: Interface;
  readonly #lines: AsyncIterator<string>;
  #number = 0;
  #read = 0;
  /** Asked for, and not handed out. */
  #ahead: Promise<InputLine | undefined> | undefined;

  constructor(input: Readable) {
    this.#reader = createInterface({ input });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Undefined at the end. */
  next(): Promise<InputLine | undefined> {
    const line = this.#ahead ?? this.#nextOfInput();
    this.#ahead = undefined;
    return line;
  }

  /** As `next`; null while the input pauses, and the line that comes then is the next. */
  async nextThere(): Promise<InputLine | undefined | null> {
    this.#ahead ??= this.#nextOfInput();
    const line = await Promise.race([this.#ahead, nextTurn(null)]);
    if (line !== null) this.#ahead = undefined;
    return line;
  }

  async #nextOfInput(): Promise<InputLine | undefined> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) return undefined;
      this.#number += 1;
      if (value.trim() === '') continue;
      this.#read += 1;
      return { text: value, number: this.#number };
    }
  }

  /** Reads no more than what comes soon. Resolves to how many there are in all; to undefined where there are more. */
  async countRest(): Promise<number | undefined> {
    let isOver = false;
    const timer = setTimeout(() => {
      isOver = true;
      this.#reader.close();
    }, COUNTING_MS);
    while (!isOver && (await this.next()) !== undefined);
    clearTimeout(timer);
    return isOver ? undefined : this.#read;
  }
}
