/**
 * A subscription whose lines go to standard output. While their reader is behind it rests, and then goes on after what was taken last: what
 * comes meanwhile stays with the gateway, and none of it is lost.
 */
import type { Unsubscribable } from '@trpc/server/observable';
import { drained, isBehind } from './output.ts';

export interface PacedOptions {
  /** Begins after a position, and has the subscription tell its end. */
  readonly subscribe: (lastEventId: string | undefined, onComplete: () => void) => Unsubscribable;
  /** Called when it is the gateway that ends it. */
  readonly onComplete: () => void;
  /** Of the first time. */
  readonly lastEventId?: string | undefined;
}

export class PacedSubscription implements Unsubscribable {
  readonly #options: PacedOptions;
  #present: { subscription?: Unsubscribable } | undefined;
  #hasEnded = false;

  constructor(options: PacedOptions) {
    this.#options = options;
    this.#begin(options.lastEventId);
  }

  /** What has this id was printed; the subscription may go on from there. */
  took(id: string): void {
    if (!isBehind()) return;
    this.#stop();
    void drained().then(() => this.#begin(id));
  }

  unsubscribe(): void {
    this.#hasEnded = true;
    this.#stop();
  }

  #begin(lastEventId: string | undefined): void {
    if (this.#hasEnded) return;
    const own: { subscription?: Unsubscribable } = {};
    this.#present = own;
    own.subscription = this.#options.subscribe(lastEventId, () => {
      if (this.#present === own) this.#options.onComplete();
    });
  }

  #stop(): void {
    const stopped = this.#present;
    this.#present = undefined;
    stopped?.subscription?.unsubscribe();
  }
}
