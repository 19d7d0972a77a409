/** Counting the connections that principals have at once. */

export interface ConnectionCounts extends Disposable {
  /** Counts a connection when fewer than `most` are open. Undefined when it is counted, else how many are. */
  claim(sub: string, connectionId: string, most: number): number | undefined | Promise<number | undefined>;
  /** A connection that was counted is gone; does nothing for one that was not. */
  release(sub: string, connectionId: string): void;
}

/** The connections of one instance. */
export function memoryConnectionCounts(): ConnectionCounts {
  const open = new Map<string, Set<string>>();
  return {
    claim: (sub, id, most) => {
      const own = open.get(sub) ?? new Set();
      if (own.size >= most) return own.size;
      open.set(sub, own.add(id));
      return undefined;
    },
    release: (sub, id) => {
      const own = open.get(sub);
      if (own?.delete(id) && own.size === 0) open.delete(sub);
    },
    [Symbol.dispose]: () => undefined,
  };
}
