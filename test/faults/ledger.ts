/**
 * The checker of the fault tests. It compares three sets: what was acknowledged to publishers, what is stored, and
 * what a subscriber received that resumed through everything. Each event carries a text of its own, so that an event
 * is recognised by more than its position.
 */
import type { TestContext } from 'vitest';

/** Runs of a minute, twenty kills, thousands of clients; otherwise short ones of the same kind. */
export const LONG = process.env['COURIER_FAULTS'] === 'long';

declare module 'vitest' {
  interface TaskMeta {
    /** A line of the table that is printed after the fault tests. */
    fault?: { readonly row: number; readonly fault: string; readonly figures: Readonly<Record<string, number | string>> };
  }
}

/** Puts figures into the table. `row` is the fault's number there. */
export function report(task: TestContext['task'], row: number, fault: string, figures: object): void {
  task.meta.fault = { row, fault, figures: { ...figures } };
}

export interface Item {
  readonly id: string;
  readonly text: string;
}

/** The figures of a comparison. `unknown` were stored without being acknowledged, which is neither wrong nor right. */
export interface Figures {
  readonly acknowledged: number;
  readonly stored: number;
  readonly received: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly unknown: number;
}

export class Ledger {
  /** Text by position. */
  readonly #acknowledged = new Map<string, string>();
  readonly #positions = new Map<string, string>();
  #storedTwice = 0;

  /** Notes an acknowledgement: the event with this text has this position. */
  acknowledge(id: string, text: string): void {
    if ((this.#positions.get(text) ?? id) !== id) this.#storedTwice += 1;
    this.#acknowledged.set(id, text);
    this.#positions.set(text, id);
  }

  get size(): number {
    return this.#acknowledged.size;
  }

  compare(stored: readonly Item[], received: readonly Item[]): Figures {
    const inLog = new Map(stored.map(({ id, text }) => [id, text]));
    const atSubscriber = new Map(received.map(({ id, text }) => [id, text]));
    const lost = [...this.#acknowledged].filter(([id, text]) => inLog.get(id) !== text || atSubscriber.get(id) !== text);
    const texts = new Set(stored.map(({ text }) => text));
    return {
      acknowledged: this.#acknowledged.size,
      stored: stored.length,
      received: received.length,
      lost: lost.length,
      duplicated: received.length - atSubscriber.size + (stored.length - texts.size) + this.#storedTwice,
      reordered: backwardSteps(received) + backwardSteps(stored),
      unknown: [...inLog.keys()].filter((id) => !this.#acknowledged.has(id)).length,
    };
  }
}

/** What every comparison must show, whatever happened. */
export const EXACT = { lost: 0, duplicated: 0, reordered: 0 } as const;

/** The numbers of positions. */
export function seqOf({ id }: { readonly id: string }): number {
  return Number(id.slice(id.indexOf('-') + 1));
}

function backwardSteps(items: readonly Item[]): number {
  return items.filter((item, index) => index > 0 && seqOf(item) <= seqOf(items[index - 1] as Item)).length;
}
