/** How a subscription's items reach a tRPC WebSocket: event streams by shared frames, anything else item by item, paced. */
import { getTRPCErrorFromUnknown, isTrackedEnvelope } from '@trpc/server';
import type { TRPCResponseMessage } from '@trpc/server/rpc';
import type { Delivery, Sink } from '../delivery/batch.ts';
import type { Meter } from '../observe/meter.ts';
import type { WebSocketWriter } from './web-socket-writer.ts';

/** Delivers events as frames, which all subscriptions with the same request id share. */
export function trackedSink(
  writer: WebSocketWriter,
  envelope: Pick<TRPCResponseMessage, 'id' | 'jsonrpc'>,
  { encodeTracked, meter }: { readonly encodeTracked: (delivery: Delivery) => string; readonly meter: Pick<Meter, 'message'> },
): Sink {
  const head = `${JSON.stringify(envelope).slice(0, -1)},"result":{"type":"data","data":`;
  return writer.textSink(head, (delivery) => `${head}${encodeTracked(delivery)},"id":"${delivery.id}"}}`, meter);
}

export interface IterableDelivery {
  readonly iterable: AsyncIterable<unknown>;
  readonly writer: WebSocketWriter;
  /** Stops the subscription. Aborted when it fails, too: cleaning up may wait for that. */
  readonly stop: AbortController;
  readonly onStart: () => void;
  readonly onItem: (result: { type: 'data'; data: unknown; id?: string }) => void;
  /** Told of what failed once the subscription had ended or was stopped; the client is not. */
  readonly onLateError: (error: unknown) => void;
}

/**
 * Delivers an iterable's items, asking for the next only when the socket can take it, until it ends or is stopped. Rejects
 * with what the client is to be told. One that is stopped before it starts is disposed of unread.
 */
export async function deliverIterable(delivery: IterableDelivery): Promise<void> {
  const { iterable, stop, onStart, onLateError } = delivery;
  if (stop.signal.aborted) {
    await disposeUnread(iterable, onLateError);
    return;
  }
  onStart();
  const iterator = iterable[Symbol.asyncIterator]();
  try {
    await deliverItems(iterator, delivery);
  } catch (error) {
    stop.abort();
    throw error;
  } finally {
    await dispose(iterator).catch(onLateError);
  }
}

async function deliverItems(iterator: AsyncIterator<unknown>, delivery: IterableDelivery): Promise<void> {
  const { writer } = delivery;
  const { signal } = delivery.stop;
  while (await deliverNext(iterator, delivery)) {
    // Rejects when the subscription is stopped, which the next turn sees.
    if (!writer.writable) await writer.drained(signal).catch(() => undefined);
  }
}

/** False at the end, or when it is stopped. An item lives no longer than this call, however late the next one comes. */
async function deliverNext(
  iterator: AsyncIterator<unknown>,
  { stop: { signal }, onItem, onLateError }: IterableDelivery,
): Promise<boolean> {
  if (signal.aborted) return false;
  const next = await nextUnlessStopped(iterator, signal, onLateError);
  if (next === undefined || next.done) return false;
  onItem(itemOf(next.value));
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

/** Is this how a procedure gives up whose subscription was stopped? One that fails with a code of its own has more to say. */
export function isGivingUp(thrown: unknown): boolean {
  return isAbortError(thrown) && getTRPCErrorFromUnknown(thrown).code === 'INTERNAL_SERVER_ERROR';
}

/** How what hears a signal ends. */
function isAbortError(thrown: unknown): boolean {
  return getTRPCErrorFromUnknown(thrown).cause?.name === 'AbortError';
}

function itemOf(value: unknown): { type: 'data'; data: unknown; id?: string } {
  if (!isTrackedEnvelope(value)) return { type: 'data', data: value };
  const [id, data] = value;
  return { type: 'data', data: { id, data }, id };
}

async function disposeUnread(iterable: AsyncIterable<unknown>, onLateError: (error: unknown) => void): Promise<void> {
  try {
    await dispose(iterable[Symbol.asyncIterator]());
  } catch (error) {
    onLateError(error);
  }
}

async function dispose(iterator: AsyncIterator<unknown> & Partial<AsyncDisposable>): Promise<void> {
  const close: (() => PromiseLike<unknown>) | undefined = iterator[Symbol.asyncDispose] ?? iterator.return;
  await close?.call(iterator);
}
