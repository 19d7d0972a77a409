/** Every event type with its service, its data and the channel families that may carry it, and the TypeScript types of them. */
import { z } from 'zod';
import type { ChannelFamily, ChannelIn, FamilyMatching } from '../channels.ts';
import { type Draft, draftSchema, listWithPlainData, withPlainData } from '../draft.ts';
import type { Envelope } from '../envelope.ts';
import { cartographeEvents } from './cartographe.ts';
import { chevalierEvents } from './chevalier.ts';
import type { courierEvents, NOTICE_CHANNEL } from './courier.ts';
import { forgeEvents } from './forge.ts';
import { prophetEvents } from './prophet.ts';

/** The services, each with the types that only it publishes and the families that carry these types. */
export const SERVICES = {
  prophet: { events: prophetEvents, families: ['strategy', 'user', 'global'] },
  cartographe: { events: cartographeEvents, families: ['backtest', 'strategy', 'user', 'global'] },
  chevalier: { events: chevalierEvents, families: ['strategy', 'user', 'global'] },
  forge: { events: forgeEvents, families: ['forge.job', 'user', 'global'] },
} as const satisfies Record<string, { events: Record<string, z.ZodType>; families: readonly ChannelFamily[] }>;

type Services = typeof SERVICES;
export type Service = keyof Services;
export const SERVICE_NAMES = Object.keys(SERVICES) as Service[];

type DataSchemas = typeof prophetEvents & typeof cartographeEvents & typeof chevalierEvents & typeof forgeEvents;
/** Every event type that can be published. */
export type EventType = keyof DataSchemas;
/** The event types of a service. */
export type EventTypeOf<S extends Service> = { [K in S]: keyof Services[K]['events'] & EventType }[S];
/** The service that publishes a type. */
export type ServiceOf<T extends EventType> = { [S in Service]: T extends EventTypeOf<S> ? S : never }[Service];
/** The families whose channels may carry a type. */
export type FamilyOf<T extends EventType> = T extends EventType ? Services[ServiceOf<T>]['families'][number] : never;
/** The channels that may carry a type. */
export type ChannelOf<T extends EventType> = ChannelIn<FamilyOf<T>>;

/** The data of a type. */
export type EventData<T extends EventType> = z.output<DataSchemas[T]>;

/** An event as subscribers receive it; a union over all types when no type is named. */
export type CourierEvent<T extends EventType = EventType> = { [K in T]: Envelope<K, ChannelOf<K>, EventData<K>> }[T];
export type GapNotice = Envelope<'courier.gap', typeof NOTICE_CHANNEL, z.output<(typeof courierEvents)['courier.gap']>>;
export type LiveNotice = Envelope<'courier.live', typeof NOTICE_CHANNEL, z.output<(typeof courierEvents)['courier.live']>>;
/** What Courier itself sends to a subscriber. */
export type Notice = GapNotice | LiveNotice;

/** The types that channels of a family can carry. */
export type EventTypeOn<F extends ChannelFamily> = { [T in EventType]: F & FamilyOf<T> extends never ? never : T }[EventType];
/** The events that a channel, or the channels that a pattern matches, can carry. */
export type EventOn<P extends string> = {
  [T in EventTypeOn<FamilyMatching<P>>]: Envelope<T, ChannelIn<FamilyOf<T> & FamilyMatching<P>>, EventData<T>>;
}[EventTypeOn<FamilyMatching<P>>];
/** What a subscription to `P` receives: events and Courier's notices. */
export type Received<P extends string> = EventOn<P> | Notice;

/** The draft of an event. */
export type EventDraftInput<T extends EventType = EventType> = { [K in T]: Draft<K, FamilyOf<K>, z.input<DataSchemas[K]>> }[T];
/** The draft of an event, once it has been checked. */
export type CheckedDraft<T extends EventType = EventType> = { [K in T]: Draft<K, FamilyOf<K>, EventData<K>, Date> }[T];

const draftSchemas = (service: Service) => {
  const { events, families } = SERVICES[service];
  return Object.entries<z.ZodType>(events).map(([type, data]) => draftSchema(type, families, data));
};

/** The schema of a draft of one of `services`: a union discriminated by `type`. */
export function draftUnion<S extends Service>(
  services: readonly S[],
): z.ZodType<CheckedDraft<EventTypeOf<S>>, EventDraftInput<EventTypeOf<S>>> {
  return withPlainData(unguardedUnion(services));
}

/** The schema of a list of such drafts. */
export function draftList<S extends Service>(
  services: readonly S[],
): z.ZodType<CheckedDraft<EventTypeOf<S>>[], EventDraftInput<EventTypeOf<S>>[]> {
  return listWithPlainData(unguardedUnion(services));
}

function unguardedUnion<S extends Service>(
  services: readonly S[],
): z.ZodType<CheckedDraft<EventTypeOf<S>>, EventDraftInput<EventTypeOf<S>>> {
  const [first, ...rest] = services.flatMap(draftSchemas);
  if (first === undefined) throw new RangeError('a union needs at least one service');
  const types = [first, ...rest].map((schema) => schema.shape.type.value).join(', ');
  const union = z.discriminatedUnion('type', [first, ...rest], {
    error: (issue) => (issue.code === 'invalid_union' ? `must be one of ${types}` : undefined),
  });
  // The union was built in a loop, which the compiler cannot follow.
  return union as unknown as z.ZodType<CheckedDraft<EventTypeOf<S>>, EventDraftInput<EventTypeOf<S>>>;
}

/** Every event type, in the order of the services. */
export const EVENT_TYPES = SERVICE_NAMES.flatMap((service) => Object.keys(SERVICES[service].events)) as EventType[];

const SERVICE_OF = new Map<string, Service>(
  SERVICE_NAMES.flatMap((service) => Object.keys(SERVICES[service].events).map((type) => [type, service] as const)),
);

/** The service that publishes `type`; undefined when there is no such type. */
export function serviceOf(type: string): Service | undefined {
  return SERVICE_OF.get(type);
}

/** The families that may carry events of `type`. */
export function familiesOf(type: EventType): readonly ChannelFamily[] {
  return SERVICES[SERVICE_OF.get(type) ?? 'prophet'].families;
}

/** The types that channels of `families` can carry. */
export function typesOn<F extends ChannelFamily>(families: readonly F[]): EventTypeOn<F>[] {
  const carried = EVENT_TYPES.filter((type) => familiesOf(type).some((family) => families.some((other) => other === family)));
  return carried as EventTypeOn<F>[];
}
