/**
 * One subscription over a tRPC WebSocket, from its call to its end, and how its items reach the socket: event streams by shared
 * frames, anything else item by item, paced.
 */
import { getTRPCErrorFromUnknown, isTrackedEnvelope, TRPCError } from '@trpc/server';
import { isObservable, observableToAsyncIterable } from '@trpc/server/observable';
import type { Connection } from '../connections/connection.ts';
import type { Batch, Delivery, Form } from '../delivery/batch.ts';
import { isEventStream } from '../delivery/event-stream.ts';
import type { Meter } from '../observe/meter.ts';
import type { Encoding, Frames } from './socket-writer.ts';
import { type Envelope, encodeTracked, type RunningCall, type TrpcReplies } from './trpc-messages.ts';
import { FramesWith, PatchedFrames, textEncoding, textFrames, type WebSocketWriter } from './web-socket-writer.ts';

export interface TrpcSubscription {
  readonly connection: Connection;
  readonly writer: WebSocketWriter;
  readonly replies: TrpcReplies;
  readonly meter: Pick<Meter, 'message'>;
  readonly running: RunningCall;
  /** Runs the procedure, until `stop` aborts. */
  readonly run: () => Promise<unknown>;
  /** Stops the subscription. Aborted when it fails, too: cleaning up may wait for that. */
  readonly stop: AbortController;
  /** Called when the client was told that it has started, if it is. */
  readonly onStart: () => void;
  /** Called when nothing of it is left, before the client is told that it has stopped. */
  readonly onEnd: () => void;
}

/** Serves a subscription until it ends, fails or is stopped, and tells the client so. Never rejects. */
export async function serveSubscription(subscription: TrpcSubscription): Promise<void> {
  const { connection, replies, running, run, stop, onStart, onEnd } = subscription;
  const { call } = running;
  let hasStarted = false;
  let hasFailed = false;
  try {
    const result = await run();
    if (connection.ending !== undefined) throw connection.ending.error;
    await deliver(subscription, result, () => {
      hasStarted = true;
      replies.send({ ...call.envelope, result: { type: 'started' } });
      onStart();
    });
  } catch (cause) {
    hasFailed = !(stop.signal.aborted && isGivingUp(cause));
    const isUnanswered = !hasStarted && call.lastEventId === undefined;
    if (hasFailed && connection.isOpen) replies.fail(running, cause);
    else if (!connection.isOpen && isUnanswered) replies.fail(running, connection.ending?.error ?? cause);
  } finally {
    stop.abort();
    onEnd();
  }
  // One that failed before it started has been answered by its error.
  if (connection.isOpen && (hasStarted || !hasFailed)) replies.send({ ...call.envelope, result: { type: 'stopped' } });
}

/** Delivers what the procedure returned. Rejects with what the client is to be told. */
function deliver(subscription: TrpcSubscription, result: unknown, onStart: () => void): Promise<void> {
  const { writer, meter, running, stop } = subscription;
  const { call } = running;
  const { signal } = stop;
  if (isEventStream(result) && !signal.aborted) {
    onStart();
    return result.attach(writer.sink(trackedEncoding(call.envelope, meter)), signal);
  }
  if ((isEventStream(result) || isObservable(result)) && signal.aborted) return Promise.resolve();
  // Converting an observable subscribes to it.
  if (isObservable(result)) return deliverIterable(subscription, observableToAsyncIterable(result, signal), onStart);
  if (isAsyncIterable(result)) return deliverIterable(subscription, result, onStart);
  const message = `Subscription ${call.path} did not return an observable or a AsyncGenerator`;
  throw new TRPCError({ code: 'INTERNAL_SERVER_ERROR', message });
}

type MessageMeter = Pick<Meter, 'message'>;

/** What a message begins with. */
const ID_KEY = '{"id":';
/** Ids whose frames are shared, at most, as JSON: in units of UTF-16. */
const MAX_ID_UNITS = 64;
/** Those of clients that count. */
const COMMON_ID_UNITS = 8;

/** Events as frames that all subscriptions share, with ids of their own: as long as others', they are patched in. */
function trackedEncoding(envelope: Envelope, meter: MessageMeter): Encoding {
  const id = JSON.stringify(envelope.id);
  if (id.length <= MAX_ID_UNITS && /^[\x20-\x7e]+$/.test(id)) return new PatchedEncoding(id, patchedForm(id.length, envelope, meter));
  return textEncoding(`${id} ${envelope.jsonrpc}`, trackedText(id, envelope), meter);
}

/** An event as the message of a subscription. @param id in JSON. */
function trackedText(id: string, { jsonrpc }: Envelope): (delivery: Delivery) => string {
  const version = jsonrpc === undefined ? '' : `,"jsonrpc":${JSON.stringify(jsonrpc)}`;
  const head = `${ID_KEY}${id}${version},"result":{"type":"data","data":`;
  return (delivery) => `${head}${encodeTracked(delivery)},"id":"${delivery.id}"}}`;
}

type PatchedForm = Form<PatchedFrames>;

/** By the gateway's meter: the forms of all subscriptions whose ids are as long. */
const patchedForms = new WeakMap<MessageMeter, Map<string, PatchedForm>>();

function patchedForm(idUnits: number, envelope: Envelope, meter: MessageMeter): PatchedForm {
  const own = patchedForms.get(meter) ?? new Map<string, PatchedForm>();
  patchedForms.set(meter, own);
  const name = `${idUnits} units ${envelope.jsonrpc}`;
  const known = own.get(name);
  if (known !== undefined) return known;
  const textOf = trackedText('0'.repeat(idUnits), envelope);
  const form: PatchedForm = {
    name,
    isCommon: idUnits <= COMMON_ID_UNITS,
    make: (deliveries) => new PatchedFrames(textFrames(deliveries.map(textOf), meter), ID_KEY.length),
  };
  own.set(name, form);
  return form;
}

/** An object with methods: there is one for each of many thousand subscriptions. */
class PatchedEncoding implements Encoding {
  readonly #id: string;
  readonly #form: PatchedForm;

  constructor(id: string, form: PatchedForm) {
    this.#id = id;
    this.#form = form;
  }

  framesOf(batch: Batch): Frames {
    return new FramesWith(batch.render(this.#form), this.#id);
  }
}

/**
 * Delivers an iterable's items, asking for the next only when the socket can take it, until it ends or is stopped. One that is
 * stopped before it starts is disposed of unread. What fails after a stop, or while it is disposed of, is reported only.
 */
async function deliverIterable(subscription: TrpcSubscription, iterable: AsyncIterable<unknown>, onStart: () => void): Promise<void> {
  const { writer, replies, running, stop } = subscription;
  const { signal } = stop;
  const report = (error: unknown) => replies.report(error, running);
  if (signal.aborted) {
    await disposeUnread(iterable).catch(report);
    return;
  }
  onStart();
  const iterator = iterable[Symbol.asyncIterator]();
  try {
    while (await deliverNext(subscription, iterator)) {
      // Rejects when the subscription is stopped, which the next turn sees.
      if (!writer.writable) await writer.drained(signal).catch(() => undefined);
    }
  } catch (error) {
    stop.abort();
    throw error;
  } finally {
    await dispose(iterator).catch(report);
  }
}

/** False at the end, or when it is stopped. An item lives no longer than this call, however late the next one comes. */
async function deliverNext({ replies, running, stop }: TrpcSubscription, iterator: AsyncIterator<unknown>): Promise<boolean> {
  const { signal } = stop;
  if (signal.aborted) return false;
  const next = await nextUnlessStopped(iterator, signal, (error) => replies.report(error, running));
  if (next === undefined || next.done) return false;
  replies.send({ ...running.call.envelope, result: itemOf(next.value) });
  return true;
}

/** The iterator's next result; undefined when `signal` aborts first. Leaves nothing behind on the signal. */
function nextUnlessStopped(
  iterator: AsyncIterator<unknown>,
  signal: AbortSignal,
  onLateError: (error: unknown) => void,
): Promise<IteratorResult<unknown> | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = () => resolve(undefined);
    signal.addEventListener('abort', onAbort, { once: true });
    const onError = (error: unknown) => {
      if (!signal.aborted) reject(error);
      else if (!isAbortError(error)) onLateError(error);
    };
    iterator
      .next()
      .then(resolve, onError)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Does a procedure give up like this when its subscription is stopped? One that fails with a code of its own has more to say. */
function isGivingUp(thrown: unknown): boolean {
  return isAbortError(thrown) && getTRPCErrorFromUnknown(thrown).code === 'INTERNAL_SERVER_ERROR';
}

/** Does this end a wait that heard its signal? */
function isAbortError(thrown: unknown): boolean {
  return getTRPCErrorFromUnknown(thrown).cause?.name === 'AbortError';
}

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

function itemOf(value: unknown): { type: 'data'; data: unknown; id?: string } {
  if (!isTrackedEnvelope(value)) return { type: 'data', data: value };
  const [id, data] = value;
  return { type: 'data', data: { id, data }, id };
}

async function disposeUnread(iterable: AsyncIterable<unknown>): Promise<void> {
  await dispose(iterable[Symbol.asyncIterator]());
}

async function dispose(iterator: AsyncIterator<unknown> & Partial<AsyncDisposable>): Promise<void> {
  const close: (() => PromiseLike<unknown>) | undefined = iterator[Symbol.asyncDispose] ?? iterator.return;
  await close?.call(iterator);
}
