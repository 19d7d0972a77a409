/**
 * Makes deliveries of stored events: in the form that their types have now, whatever form they were stored in. Of an event of the
 * present version nothing is read. What cannot be brought to the present form is delivered as a `courier.gap`, never in a wrong form.
 */
import type { Contract } from '../contract/contract.ts';
import { upcast } from '../contract/upcast.ts';
import type { StoredEvent } from '../log/log.ts';
import type { Positions } from '../log/positions.ts';
import { Delivery } from './batch.ts';
import { unreadableEvent } from './notices.ts';

export type DeliveryOf = (event: StoredEvent) => Delivery;

/** @param onUnreadable is told of each event that cannot be brought to the present form, whenever it is read. */
export function presentDeliveries(contract: Contract, positions: Positions, onUnreadable?: (event: StoredEvent) => void): DeliveryOf {
  return (event) => {
    const { type, version, seq } = event;
    const present = contract.types.get(type)?.version;
    // Subscribers pass over a type that they do not know.
    if (present === undefined || present === version) return new Delivery(positions.at(seq), event);
    const body = presentBody(contract, event);
    if (body !== undefined) return new Delivery(positions.at(seq), { ...event, body });
    onUnreadable?.(event);
    return unreadableEvent(positions, event);
  };
}

function presentBody(contract: Contract, { type, version, channel, body }: StoredEvent): string | undefined {
  const event: { readonly data: unknown } = JSON.parse(body);
  const data = upcast(contract, { type, version, channel, data: event.data });
  return data && JSON.stringify({ ...event, data });
}
