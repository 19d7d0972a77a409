/** The spans of events: whatever events are about has a lane of its own, as the contract names it. */
import type { ContractDocument } from '../../../../../src/contract/document.ts';
import { carriersOf, subjectOf } from '../../../../../src/contract/samples.ts';
import type { ServedEvent } from '../../contract/served.ts';

export interface Lane {
  /** `ship aurora`. */
  readonly name: string;
  readonly source: string;
  /** The events in the order of publishing. */
  readonly events: readonly ServedEvent[];
  /** The start and the end on the axis. */
  readonly from: number;
  readonly to: number;
}

/**
 * The axis of the events: time, or their order when the timestamps do not follow it, as a publisher may set an old timestamp.
 */
export interface Axis {
  readonly kind: 'time' | 'order';
  readonly first: number;
  readonly last: number;
  /** The place of an event on the axis: ms since 1970, or its number. */
  readonly at: (event: ServedEvent) => number;
}

/** How far a timestamp may be before that of the previous event, in ms: clocks differ, and services work side by side. */
const TOLERANCE_MS = 2000;

export function axisOf(events: readonly ServedEvent[]): Axis {
  const timeOf = ({ metadata }: ServedEvent) => metadata.timestamp.getTime();
  const times = events.map(timeOf);
  const isInOrder = times.every((time, index) => time >= (times[index - 1] ?? time) - TOLERANCE_MS);
  if (isInOrder) return { kind: 'time', first: Math.min(...times), last: Math.max(...times), at: timeOf };
  const numbers = new Map(events.map(({ id }, index) => [id, index + 1]));
  return { kind: 'order', first: 1, last: events.length, at: ({ id }) => numbers.get(id) ?? 0 };
}

/** Lanes in the order of their first events. @param document undefined where it is not known: then each type has a lane. */
export function lanesOf(events: readonly ServedEvent[], { at }: Axis, document: ContractDocument | undefined): Lane[] {
  const fields = new Map<string, readonly string[]>();
  const nameOf = (event: ServedEvent) => {
    const known = fields.get(event.type) ?? (document === undefined ? [] : fieldsNaming(document, event.type));
    fields.set(event.type, known);
    return subjectNameOf(event, known);
  };
  const lanes = Map.groupBy(events, (event) => `${event.metadata.source}\n${nameOf(event)}`);
  return [...lanes.values()]
    .map((own) => {
      const places = own.map(at);
      const [first] = own as [ServedEvent, ...ServedEvent[]];
      return { name: nameOf(first), source: first.metadata.source, events: own, from: Math.min(...places), to: Math.max(...places) };
    })
    .sort((a, b) => a.from - b.from);
}

/** The fields that name what an event of a type is about, the best first: its subject, else the ids of the families that carry it. */
function fieldsNaming(document: ContractDocument, type: string): string[] {
  const ids = carriersOf(document, type).flatMap(([, { id }]) => (id === undefined ? [] : [id]));
  return [subjectOf(document, type) ?? [], ids].flat();
}

/**
 * The subject of an event: `ship aurora` by `ship_id`, `container MSKU-1` by another field of a type
 * `container.released`; else the type.
 */
function subjectNameOf({ type, data }: ServedEvent, fields: readonly string[]): string {
  const values = data as Readonly<Record<string, unknown>>;
  const field = fields.find((name) => Object.hasOwn(values, name) && ['string', 'number'].includes(typeof values[name]));
  if (field === undefined) return type;
  const kind = field.endsWith('_id') ? field.slice(0, -'_id'.length) : type.split('.', 1)[0];
  return `${kind} ${String(values[field])}`;
}
