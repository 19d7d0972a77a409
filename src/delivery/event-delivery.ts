/** An event of the log on its way to subscribers. One that begins a piece of work has its own id as correlation id. */
import { Delivery } from './batch.ts';

/** What is before the channel, the type and the timestamp of a body, and behind the timestamp, as `publication.ts` writes it. */
const [CHANNEL, TYPE, TIMESTAMP, SOURCE] = ['{"channel":"', '","type":"', '","metadata":{"timestamp":"', '","source":'];
const TIMESTAMP_UNITS = '2026-11-24T11:28:01.107Z'.length;
const TEXT = /"(?:[^"\\]|\\.)*"/y;

export class EventDelivery extends Delivery {
  protected override told(body: string): string {
    const timestampAt = CHANNEL.length + this.channel.length + TYPE.length + this.type.length;
    const sourceAt = timestampAt + TIMESTAMP.length + TIMESTAMP_UNITS;
    if (!body.startsWith(TIMESTAMP, timestampAt) || !body.startsWith(SOURCE, sourceAt)) return body;
    TEXT.lastIndex = sourceAt + SOURCE.length;
    if (!TEXT.test(body)) return body;
    const at = TEXT.lastIndex;
    return body.startsWith(',"correlation_id":', at) ? body : `${body.slice(0, at)},"correlation_id":"${this.position}"${body.slice(at)}`;
  }
}
