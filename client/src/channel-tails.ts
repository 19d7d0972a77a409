/** What is under way on each channel, for what must come after it. */

/** What was added to a channel until somebody waited for it. */
interface Tail {
  underWay: number;
  readonly before: Promise<unknown> | undefined;
  /** Of what is under way; nothing is added once somebody waits for it. */
  settled: PromiseWithResolvers<void> | undefined;
}

export class ChannelTails {
  /** By channel, while something is under way. */
  readonly #tails = new Map<string, Tail>();

  /** Resolves once everything that was added for one of the channels has settled; undefined when it has. */
  of(channels: readonly string[]): Promise<unknown> | undefined {
    const tails = channels.flatMap((channel) => {
      const tail = this.#tails.get(channel);
      return tail === undefined ? [] : settled(tail);
    });
    return tails.length === 0 ? undefined : Promise.all(tails);
  }

  /** Adds something for these channels. Returns the function that says that it has settled. */
  add(channels: readonly string[]): () => void {
    const unique = channels.length === 1 ? channels : [...new Set(channels)];
    const tails = unique.map((channel) => this.#last(channel));
    return () => {
      for (const [index, tail] of tails.entries()) {
        tail.underWay -= 1;
        if (tail.underWay > 0) continue;
        tail.settled?.resolve();
        const channel = unique[index] as string;
        if (this.#tails.get(channel) !== tail) continue;
        if (tail.before === undefined) this.#tails.delete(channel);
        else void tail.before.then(() => this.#forget(channel, tail));
      }
    };
  }

  #last(channel: string): Tail {
    const last = this.#tails.get(channel);
    const tail =
      last !== undefined && last.settled === undefined ? last : { underWay: 0, before: last && settled(last), settled: undefined };
    tail.underWay += 1;
    this.#tails.set(channel, tail);
    return tail;
  }

  #forget(channel: string, tail: Tail): void {
    if (this.#tails.get(channel) === tail && tail.underWay === 0) this.#tails.delete(channel);
  }
}

function settled(tail: Tail): Promise<unknown> {
  tail.settled ??= Promise.withResolvers();
  const { promise } = tail.settled;
  return tail.before === undefined ? promise : Promise.all([tail.before, promise]);
}
