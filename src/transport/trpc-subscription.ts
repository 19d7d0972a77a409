/** How a subscription's items reach a tRPC WebSocket: event streams by shared frames, anything else item by item, paced. */
import { isTrackedEnvelope } from '@trpc/server';
import type { TRPCResponseMessage } from '@trpc/server/rpc';
import type { Delivery } from '../delivery/delivery.ts';
import type { Sink } from '../delivery/sink.ts';
import { type SocketWriter, textFrame } from './socket-writer.ts';

/** Delivers events as frames that all subscriptions with the same request id share. */
export function trackedSink(
  writer: SocketWriter,
  envelope: Pick<TRPCResponseMessage, 'id' | 'jsonrpc'>,
  encode: (delivery: Delivery) => string,
): Sink {
  const head = `${JSON.stringify(envelope).slice(0, -1)},"result":{"type":"data","data":`;
  const make = (delivery: Delivery) => textFrame(`${head}${encode(delivery)},"id":"${delivery.id}"}}`);
  return {
    get writable() {
      return writer.writable;
    },
    deliver: (delivery) => writer.writeFrame(delivery.frame(head, make)),
    drained: (signal) => writer.drained(signal),
  };
}

export interface IterableDelivery {
  readonly iterable: AsyncIterable<unknown>;
  readonly writer: SocketWriter;
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
  let finished = false;
  try {
    if (signal.aborted) return;
    onStart();
    const stopped = new Promise<'stopped'>((resolve) => signal.addEventListener('abort', () => resolve('stopped'), { once: true }));
    while (!signal.aborted) {
      const next = await Promise.race([iterator.next(), stopped]);
      if (next === 'stopped') return;
      if (next.done) {
        finished = true;
        return;
      }
      onItem(itemOf(next.value));
      if (!writer.writable) await writer.drained(signal);
    }
  } catch (error) {
    finished = true;
    if (!signal.aborted) throw error;
  } finally {
    if (!finished) await dispose(iterator, onCleanupError);
  }
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
