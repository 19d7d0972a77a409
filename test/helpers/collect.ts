/** What a subscription has received so far, and waiting for more of it. */
import type { Unsubscribable } from '@trpc/server/observable';

export interface Collected<T> extends Disposable {
  readonly items: T[];
  /** Resolves once `done` holds for what has been received; rejects when the subscription fails. */
  until(done: (items: readonly T[]) => boolean): Promise<readonly T[]>;
  /** Resolves once `count` items have come. */
  count(count: number): Promise<readonly T[]>;
  unsubscribe(): void;
}

interface Observer<T> {
  onData(value: T): void;
  onError(error: unknown): void;
}

/** Collects what a subscription procedure gives. */
export function collect<T>(subscribe: (observer: Observer<T>) => Unsubscribable): Collected<T> {
  const items: T[] = [];
  const waiting = new Set<() => void>();
  let failure: { error: unknown } | undefined;
  const wake = () => {
    for (const check of waiting) check();
  };
  const subscription = subscribe({
    onData: (value) => {
      items.push(value);
      wake();
    },
    onError: (error) => {
      failure = { error };
      wake();
    },
  });
  const until = (done: (items: readonly T[]) => boolean) =>
    new Promise<readonly T[]>((resolve, reject) => {
      const check = () => {
        if (done(items)) resolve(items);
        else if (failure !== undefined) reject(failure.error);
        else return;
        waiting.delete(check);
      };
      waiting.add(check);
      check();
    });
  return {
    items,
    until,
    count: (count) => until((received) => received.length >= count),
    unsubscribe: () => subscription.unsubscribe(),
    [Symbol.dispose]: () => subscription.unsubscribe(),
  };
}
