/**
 * Makes deliveries of stored events: in the form that their types have now, whatever form they were stored in. Of an event of the
 * present version nothing is read. What cannot be brought to the present form is delivered as a `courier.gap`, never in a wrong form.
 */
import type { Contract } from '../contract/contract.ts';
import { upcast } from '../contract/upcast.ts';
import type { StoredEvent } from '../log/log.ts';
import type { Positions } from '../log/positions.ts';
import type { Delivery } from './batch.ts';
import { EventDelivery } from './event-delivery.ts';
import { unreadableEvent } from './notices.ts';

export type DeliveryOf = (event: StoredEvent) => Delivery;

export interface PresentOptions {
  /** Told of each event that cannot be brought to the present form, and why, whenever it is read. */
  readonly onUnreadable?: (event: StoredEvent, problem: string) => void;
  /** Told of each event whose type, or the family of whose channel, the contract does not have. */
  readonly onForeign?: (event: StoredEvent) => void;
}

export function presentDeliveries(contract: Contract, positions: Positions, { onUnreadable, onForeign }: PresentOptions = {}): DeliveryOf {
  return (event) => {
    const { type, version, channel, seq } = event;
    const present = contract.types.get(type)?.version;
    if (present === undefined || !contract.families.has(event.family)) onForeign?.(event);
    // Subscribers pass over a type that they do not know.
    if (present === undefined || present === version) return new EventDelivery(positions.at(seq), event);
    const stored: { readonly data: unknown } = JSON.parse(event.body);
    const made = upcast(contract, { type, version, channel, data: stored.data });
    if ('data' in made)
      return new EventDelivery(positions.at(seq), { ...event, later: undefined, body: JSON.stringify({ ...stored, data: made.data }) });
    onUnreadable?.(event, made.problem);
    return unreadableEvent(positions, event);
  };
}
