/** What is under way on each channel, for what must come after it. */

export class ChannelTails {
  /** By channel: resolves once everything that was added has settled. */
  readonly #tails = new Map<string, Promise<void>>();

  /** Resolves once everything that was added for one of the channels has settled; undefined when it has. */
  of(channels: readonly string[]): Promise<unknown> | undefined {
    const tails = channels.flatMap((channel) => this.#tails.get(channel) ?? []);
    return tails.length === 0 ? undefined : Promise.all(tails);
  }

  add(channels: readonly string[], underWay: Promise<unknown>): void {
    for (const channel of new Set(channels)) {
      const tail = Promise.allSettled([this.#tails.get(channel), underWay]).then(() => {
        if (this.#tails.get(channel) === tail) this.#tails.delete(channel);
      });
      this.#tails.set(channel, tail);
    }
  }
}
