/** One thing on its way to subscribers: an event of the log or a notice of Courier itself. Its JSON is made once. */
import type { ChannelFamily } from '../contract/channels.ts';
import type { StoredEvent } from '../log/log.ts';

export class Delivery {
  /** Its number in the log; for a notice the number that its position stands at. */
  readonly seq: number;
  readonly channel: string;
  readonly family: ChannelFamily | undefined;
  readonly type: string;
  /** Its position: what a subscriber resumes after. */
  readonly id: string;
  readonly #body: string;
  #json: string | undefined;

  constructor(id: string, event: Omit<StoredEvent, 'family'> & { readonly family: ChannelFamily | undefined }) {
    this.seq = event.seq;
    this.channel = event.channel;
    this.family = event.family;
    this.type = event.type;
    this.id = id;
    this.#body = event.body;
  }

  /** The event in plain JSON, as it stands on the wire of every transport. */
  get json(): string {
    this.#json ??= `{"id":"${this.id}",${this.#body.slice(1)}`;
    return this.#json;
  }

  /** Size for accounting, in UTF-16 units. */
  get length(): number {
    return this.#body.length;
  }
}
