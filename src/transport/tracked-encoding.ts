/** How superjson writes `tracked(id, event)`, made of the event's JSON text without walking it. */
import type { Delivery } from '../delivery/delivery.ts';

/** The text after `"data":` in a tRPC result: a superjson envelope whose timestamp becomes a Date at the receiver. */
export function encodeTracked(delivery: Delivery): string {
  return `{"json":{"id":"${delivery.id}","data":${delivery.json}},"meta":{"values":{"data.metadata.timestamp":["Date"]},"v":1}}`;
}
