/** Conformance vectors as data: their form, reading them, and the events that their short forms stand for. */
import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { progressOf } from '../helpers/samples.ts';

/** How a client speaks to the gateway: tRPC over WebSocket, or plain HTTP and plain WebSocket. */
export type Protocol = 'trpc' | 'plain';

/** An event in plain JSON, as it stands on the wire. */
export interface WireEvent {
  id: string;
  channel: string;
  type: string;
  metadata: Record<string, unknown>;
  data: Record<string, unknown>;
}

/** An event in full, or the id of a standard one. */
export type EventForm = string | WireEvent;

export interface Gap {
  reason: string;
  requested: string;
  resumed_from: string;
}

export interface ScriptedError {
  code: string;
  message?: string;
  issues?: { path: string; message: string }[];
  retry_after_ms?: number;
  channel?: string;
  /** The HTTP status, for codes that the table does not have. */
  status?: number;
}

/** The error that the application gets. */
export interface Failure {
  code: string;
  message?: string;
  issues?: { path: string; message: string }[];
  retry_after_ms?: number;
  channel?: string;
  retryable?: boolean;
  idempotency_key?: string;
  may_be_stored?: boolean;
}

export type OnGap = 'continue' | 'fail' | 'collect';

/** Something that the server sends to a subscription, or waits for on its connection. */
export type Item =
  | { event: EventForm }
  | { text: string }
  | { gap: Gap }
  | { live: string; replayed?: number }
  | { half: EventForm }
  | { ping: true }
  | { refreshed: string };

export type Ending =
  | 'stay'
  | 'drop'
  | 'away'
  | { drain: { meanwhile?: { event: EventForm }[] } }
  | { close: number; reason?: string }
  | { error: ScriptedError };

/** One attempt to subscribe, and what becomes of it. */
export interface ScriptedConnection {
  expect?: { token?: string; last_event_id?: string };
  refuse?: ScriptedError | { status: number; retry_after_ms?: number };
  send?: Item[];
  end?: Ending;
}

interface AnyAnswer {
  expect?: { token?: string };
}

/** An attempt that is not answered: the connection ends, stays as it is, or ends and cannot be opened again. */
export type NoAnswer = 'drop' | 'silence' | 'away';

/** What becomes of one attempt to publish. */
export type PublishAnswer =
  | NoAnswer
  | ({ receipt: string | Receipt } & AnyAnswer)
  | ({ error: ScriptedError } & AnyAnswer)
  | ({ close: number } & AnyAnswer)
  | ({ half: string | Receipt } & AnyAnswer)
  | ({ status: number } & AnyAnswer);

/** What becomes of one attempt to publish a batch. */
export type BatchAnswer = NoAnswer | ({ receipts: (string | Receipt)[] } & AnyAnswer) | ({ error: ScriptedError } & AnyAnswer);

export type HistoryAnswer =
  | NoAnswer
  | ({ page: { events: EventForm[]; next: string; has_more: boolean; gap?: Gap } } & AnyAnswer)
  | ({ error: ScriptedError } & AnyAnswer);

export interface Receipt {
  id: string;
  channel: string;
  type: string;
  timestamp: string;
  duplicate: boolean;
}

interface AnyVector {
  name: string;
  why: string;
  only?: Protocol;
  client?: { token?: string | string[]; on_gap?: OnGap; timeout_ms?: number; give_up_after_ms?: number };
  gateway?: { contract?: string; expires_in_ms?: number; away?: true };
}

export interface SubscribeVector extends AnyVector {
  subscribe: {
    channels: string[];
    types?: string[];
    from?: 'now' | 'earliest';
    last_event_id?: string;
    on_gap?: OnGap;
  };
  connections: ScriptedConnection[];
  result: {
    events: EventForm[];
    handled?: (string | null)[];
    gaps?: Gap[];
    ends: null | { code: string | Record<Protocol, string>; message?: string };
  };
}

export interface Draft {
  channel: string;
  type: string;
  data: Record<string, unknown>;
  /** Numbers in the data that JSON has no form for. */
  not_json?: Record<string, 'NaN' | 'Infinity' | '-Infinity'>;
  options?: {
    idempotency_key?: string;
    timestamp?: string;
    correlation_id?: string;
    causation_id?: string;
    user_id?: string;
    traceparent?: string;
  };
}

export interface PublishVector extends AnyVector {
  publish: Draft;
  answers: PublishAnswer[];
  result: { receipt: string | Receipt } | { error: Failure };
}

export interface BatchVector extends AnyVector {
  publish_batch: Draft[];
  answers: BatchAnswer[];
  result: { receipts: (string | Receipt)[] } | { error: Failure };
}

export interface HistoryVector extends AnyVector {
  history: { channels: string[]; types?: string[]; after?: string; limit?: number };
  answers: HistoryAnswer[];
  result: { events: EventForm[]; gaps?: Gap[]; next?: string } | { error: Failure };
}

export type Vector = SubscribeVector | PublishVector | BatchVector | HistoryVector;

const FOLDER = new URL('./', import.meta.url);
const SCHEMA_NAME = 'vector.schema.json';
const readJson = (name: string): unknown => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'));
const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, schemas: [readJson(SCHEMA_NAME) as { $id: string }] });

/** The names of the files with vectors. */
export const VECTOR_FILES: readonly string[] = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json') && name !== SCHEMA_NAME)
  .sort();

/** The vectors of a file. @throws when it does not fit the schema. */
export function readVectors(file: string): Vector[] {
  return check<{ vectors: Vector[] }>('', readJson(file)).vectors;
}

/** Every vector, with its reference. */
export function allVectors(): { ref: string; vector: Vector }[] {
  return VECTOR_FILES.flatMap((file) => readVectors(file).map((vector) => ({ ref: `${file}#${vector.name}`, vector })));
}

/** The vector that `given` refers to (`gaps.json#expired-continue`), or is. @throws {RangeError} when there is none, or it does not fit the schema. */
export function vectorOf(given: unknown): Vector {
  if (typeof given !== 'string') return check<Vector>('#/$defs/vector', given);
  const [file = '', name] = given.split('#');
  const found = VECTOR_FILES.includes(file) ? readVectors(file).find((vector) => vector.name === name) : undefined;
  if (found === undefined) throw new RangeError(`there is no vector ${JSON.stringify(given)}`);
  return found;
}

function check<T>(part: string, value: unknown): T {
  const validate = ajv.getSchema(`${SCHEMA_NAME}${part}`);
  if (validate === undefined) throw new RangeError(`the schema has no ${part}`);
  if (validate(value)) return value as T;
  throw new RangeError(ajv.errorsText(validate.errors, { dataVar: 'vector' }));
}

/** The timestamp of everything that a short form stands for. */
export const STANDARD_TIMESTAMP = '2026-01-02T03:04:05.678Z';

/** The event that `form` stands for. */
export function eventOf(form: EventForm): WireEvent {
  if (typeof form !== 'string') return form;
  return {
    id: form,
    channel: 'backtest.b1',
    type: 'backtest.progress',
    metadata: { timestamp: STANDARD_TIMESTAMP, source: 'cartographe' },
    data: progressOf(),
  };
}

/** The receipt that `form` stands for: that of the standard event. */
export function receiptOf(form: string | Receipt): Receipt {
  if (typeof form !== 'string') return form;
  const { id, channel, type } = eventOf(form);
  return { id, channel, type, timestamp: STANDARD_TIMESTAMP, duplicate: false };
}

export function noticeOf(item: { gap: Gap } | { live: string; replayed?: number }): WireEvent {
  const metadata = { timestamp: STANDARD_TIMESTAMP, source: 'courier' };
  if ('gap' in item) return { id: item.gap.resumed_from, channel: 'courier', type: 'courier.gap', metadata, data: { ...item.gap } };
  const { live: position, replayed = 0 } = item;
  return { id: position, channel: 'courier', type: 'courier.live', metadata, data: { position, replayed } };
}

/** The events of a result, in full: an id stands for what the server sends with it. */
export function resultEvents(vector: SubscribeVector | HistoryVector): WireEvent[] {
  if (!('events' in vector.result)) return [];
  const sent = new Map(sentEvents(vector).map((event) => [event.id, event]));
  return vector.result.events.map((form) => (typeof form === 'string' ? (sent.get(form) ?? eventOf(form)) : form));
}

/** Every event that the server sends in a vector. */
export function sentEvents(vector: SubscribeVector | HistoryVector): WireEvent[] {
  if ('history' in vector) {
    return vector.answers.flatMap((answer) => (typeof answer === 'object' && 'page' in answer ? answer.page.events.map(eventOf) : []));
  }
  const items = vector.connections.flatMap(({ send = [], end }) => [
    ...send,
    ...(typeof end === 'object' && 'drain' in end ? (end.drain.meanwhile ?? []) : []),
  ]);
  return items.flatMap((item) => {
    if ('event' in item) return [eventOf(item.event)];
    return 'text' in item ? [JSON.parse(item.text) as WireEvent] : [];
  });
}
