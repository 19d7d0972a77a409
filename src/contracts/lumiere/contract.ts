/** The contract of Lumiere, a trading platform: what its services publish, on which channels. */
import { defineContract } from '../../contract/define.ts';
import type * as of from '../../contract/types.ts';
import * as entities from './entities.ts';
import { families } from './families.ts';
import * as services from './services.ts';

export const contract = defineContract({ name: 'lumiere', families, services, entities });
export default contract;

type Lumiere = typeof contract;
export type EventType = of.EventType<Lumiere>;
export type EventTypeOf<S extends keyof typeof services> = of.EventTypeOf<Lumiere, S>;
export type EventData<T extends EventType> = of.EventData<Lumiere, T>;
export type EventDraft<T extends EventType = EventType> = of.EventDraft<Lumiere, T>;
export type CourierEvent<T extends EventType = EventType> = of.CourierEvent<Lumiere, T>;
export type EventOn<P extends string> = of.EventOn<Lumiere, P>;
export type Received<P extends string> = of.Received<Lumiere, P>;
export type StateOf<E extends of.EntityName<Lumiere>> = of.State<Lumiere, E>;
export type ChannelOf<T extends EventType> = of.ChannelOf<Lumiere, T>;
