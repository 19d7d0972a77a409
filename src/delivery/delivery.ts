/** One thing on its way to subscribers: an event of the log or a notice of Courier itself. Its JSON is made once. */
import type { ChannelFamily } from '../contract/channels.ts';
import { bytesInMemory } from '../limits/bytes.ts';
import type { StoredEvent } from '../log/log.ts';

export class Delivery {
  /** Its number in the log; for a notice the number that its position stands at. */
  readonly seq: number;
  readonly channel: string;
  readonly family: ChannelFamily | undefined;
  readonly type: string;
  /** Its position: what a subscriber resumes after. */
  readonly id: string;
  /** UTF-16 units of its body. */
  readonly length: number;
  /** The body, until the whole JSON has been asked for, which takes its place. */
  #text: string;
  #isWhole = false;

  constructor(id: string, event: Omit<StoredEvent, 'family'> & { readonly family: ChannelFamily | undefined }) {
    this.seq = event.seq;
    this.channel = event.channel;
    this.family = event.family;
    this.type = event.type;
    this.id = id;
    this.#text = event.body;
    this.length = event.body.length;
  }

  /** The event in plain JSON, as it stands on the wire of every transport. */
  get json(): string {
    if (!this.#isWhole) {
      this.#text = `{"id":"${this.id}",${this.#text.slice(1)}`;
      this.#isWhole = true;
    }
    return this.#text;
  }

  /** Bytes of memory that it takes, at most. */
  get bytes(): number {
    return bytesInMemory(this.length);
  }
}
