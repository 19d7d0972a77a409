/** How a subscription's items reach a tRPC WebSocket: event streams by shared frames, anything else item by item, paced. */
import { isTrackedEnvelope } from '@trpc/server';
import type { TRPCResponseMessage } from '@trpc/server/rpc';
import type { Delivery } from '../delivery/delivery.ts';
import type { Sink } from '../delivery/sink.ts';
import type { Meter } from '../observe/meter.ts';
import { textFrames, type WebSocketWriter } from './web-socket-writer.ts';

/** Delivers events as frames, which all subscriptions with the same request id share. */
export function trackedSink(
  writer: WebSocketWriter,
  envelope: Pick<TRPCResponseMessage, 'id' | 'jsonrpc'>,
  { encodeTracked, meter }: { readonly encodeTracked: (delivery: Delivery) => string; readonly meter: Pick<Meter, 'message'> },
): Sink {
  const head = `${JSON.stringify(envelope).slice(0, -1)},"result":{"type":"data","data":`;
  const make = (deliveries: readonly Delivery[]) =>
    textFrames(
      deliveries.map((delivery) => {
        const text = `${head}${encodeTracked(delivery)},"id":"${delivery.id}"}}`;
        meter.message('out', text.length);
        return text;
      }),
    );
  return {
    get writable() {
      return writer.writable;
    },
    deliver: (batch) => writer.write(batch.bytes(head, make)),
    drained: (signal) => writer.drained(signal),
  };
}

export interface IterableDelivery {
  readonly iterable: AsyncIterable<unknown>;
  readonly writer: WebSocketWriter;
  /** Stops the subscription. */
  readonly signal: AbortSignal;
  readonly onStart: () => void;
  readonly onItem: (result: { type: 'data'; data: unknown; id?: string }) => void;
  /** Told of a clean-up that failed after the subscription had ended; the client is not. */
  readonly onCleanupError: (error: unknown) => void;
}

/** Delivers an iterable's items, asking for the next only when the socket can take it, until it ends or is stopped. */
export async function deliverIterable({ iterable, writer, signal, onStart, onItem, onCleanupError }: IterableDelivery): Promise<void> {
  const iterator = iterable[Symbol.asyncIterator]();
  try {
    if (signal.aborted) return;
    onStart();
    while (!signal.aborted) {
      const next = await nextUnlessStopped(iterator, signal);
      if (next === undefined || next.done) return;
      onItem(itemOf(next.value));
      if (!writer.writable) await writer.drained(signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    if (!(error instanceof Error && error.name === 'AbortError')) onCleanupError(error);
  } finally {
    await dispose(iterator, onCleanupError);
  }
}

/** The iterator's next result; undefined when `signal` aborts first. Leaves nothing behind on the signal. */
function nextUnlessStopped(iterator: AsyncIterator<unknown>, signal: AbortSignal): Promise<IteratorResult<unknown> | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = () => resolve(undefined);
    signal.addEventListener('abort', onAbort, { once: true });
    iterator
      .next()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}

function itemOf(value: unknown): { type: 'data'; data: unknown; id?: string } {
  if (!isTrackedEnvelope(value)) return { type: 'data', data: value };
  const [id, data] = value;
  return { type: 'data', data: { id, data }, id };
}

async function dispose(iterator: AsyncIterator<unknown>, onCleanupError: (error: unknown) => void): Promise<void> {
  try {
    await iterator.return?.();
  } catch (error) {
    onCleanupError(error);
  }
}
