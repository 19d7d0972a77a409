/** How superjson writes an event, made of the event's JSON text without walking it: its timestamp becomes a Date at the receiver. */
import type { Delivery } from '../delivery/batch.ts';

/** The event by itself. */
export function encodeEvent({ json }: Delivery): string {
  return `{"json":${json},"meta":{"values":{"metadata.timestamp":["Date"]},"v":1}}`;
}

/** The text after `"data":` in a tRPC result: `tracked(id, event)`. */
export function encodeTracked({ id, json }: Delivery): string {
  return `{"json":{"id":"${id}","data":${json}},"meta":{"values":{"data.metadata.timestamp":["Date"]},"v":1}}`;
}
