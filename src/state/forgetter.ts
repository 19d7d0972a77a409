/** Forgets what has ended long ago, and counts what there is: now and then, by who writes the states. */
import type { EventLog } from '../log/log.ts';
import type { StateFigures } from './figures.ts';
import type { Known } from './known.ts';

const FORGET_ROWS = 500;
/** Steps between two looks at everything else. */
const FORGET_STEPS = 20;

export class Forgetter {
  readonly #log: EventLog;
  readonly #keepMs: number;
  readonly #everyMs: number;
  #doneAt = performance.now();
  #things: StateFigures['things'] = {};

  /** @param keepMs how long what has ended is kept. @param everyMs how often that is looked for. */
  constructor(log: EventLog, { keepMs, everyMs }: { readonly keepMs: number; readonly everyMs: number }) {
    this.#log = log;
    this.#keepMs = keepMs;
    this.#everyMs = everyMs;
  }

  get isDue(): boolean {
    return performance.now() - this.#doneAt > this.#everyMs;
  }

  /** By entity, as it was counted last. */
  get things(): StateFigures['things'] {
    return this.#things;
  }

  /** Some steps. Resolves to whether nothing is left to do now. */
  async forget(signal: AbortSignal): Promise<boolean> {
    for (let step = 0; step < FORGET_STEPS && !signal.aborted; step += 1) {
      const isMore = await this.#log.states.forget({ keepMs: this.#keepMs, limit: FORGET_ROWS, nowMs: this.#log.now.earliest });
      if (!isMore) return true;
    }
    return false;
  }

  /** Counts what there is, and is not due for a while. */
  async count(known: ReadonlyMap<string, Known>): Promise<void> {
    this.#doneAt = performance.now();
    const current = [...known].flatMap(([entity, { current }]) => (current === undefined ? [] : [{ entity, build: current.number }]));
    const counts = await this.#log.states.count(current.map(({ build }) => build));
    this.#things = Object.fromEntries(
      current.map(({ entity, build }) => {
        const { open = 0, closed = 0 } = counts.find((each) => each.build === build) ?? {};
        return [entity, { open, closed }];
      }),
    );
  }
}
