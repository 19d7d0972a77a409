/**
 * WebSocket without tRPC: `/ws/{channels}?token=&last_event_id=&from=&types=`. One JSON event a text frame, nothing to
 * send. Channels and patterns are separated by commas. Errors close the connection, with the reason as text.
 */
import type { IncomingMessage } from 'node:http';
import type { Connection } from '../connections/connection.ts';
import { type Ending, endingOf } from '../connections/wire.ts';
import type { Delivery, Sink } from '../delivery/batch.ts';
import type { Pipeline } from '../delivery/pipeline.ts';
import type { Failures } from '../observe/failures.ts';
import type { Meter } from '../observe/meter.ts';
import { subscribe } from '../subscribe.ts';
import { identityOf } from './client-identity.ts';
import { requestIdOf } from './http-exchange.ts';
import { credentialsOf, plainSubscription } from './plain-subscription.ts';
import type { RequestTarget } from './request-target.ts';
import { type Upgraded, WebSocketWire, type WebSocketWireOptions } from './web-socket-wire.ts';
import { textFrames, type WebSocketWriter } from './web-socket-writer.ts';

export interface PlainWebSocketDeps extends WebSocketWireOptions {
  readonly pipeline: Pipeline;
  readonly failures: Failures;
}

/** Serves one connection until it closes. Never rejects. */
export async function servePlainWebSocket(
  deps: PlainWebSocketDeps,
  connection: Connection,
  upgraded: Upgraded,
  { req, target }: { readonly req: IncomingMessage; readonly target: RequestTarget },
): Promise<void> {
  const wire = new PlainWebSocket(connection, upgraded, deps);
  connection.carriedBy(wire);
  // There is nothing that it may say before it is let in.
  upgraded.ws.pause();
  try {
    await connection.open(credentialsOf(req, target), identityOf(req));
    upgraded.ws.resume();
    await connection.charge('subscribe');
    const request = plainSubscription(connection.principal, target, '/ws/');
    await subscribe(deps.pipeline, connection, request).attach(wire.sink(deps.pipeline.meter), connection.signal);
  } catch (error) {
    const context = { request_id: requestIdOf(req), connection_id: connection.id };
    if (connection.ending === undefined) connection.end(endingOf(deps.failures.answer('websocket', error, context)));
  }
}

class PlainWebSocket extends WebSocketWire {
  protected override onMessage(): void {
    // There is nothing to say.
  }

  override goodbye(ending: Ending): void {
    this.close(ending);
    // The closing handshake has to be read.
    this.ws.resume();
  }

  sink(meter: Meter): Sink {
    return plainSink(this.writer, meter);
  }
}

function plainSink(writer: WebSocketWriter, meter: Meter): Sink {
  const framesOf = (deliveries: readonly Delivery[]): Buffer => {
    for (const { json } of deliveries) meter.message('out', json.length);
    return textFrames(deliveries.map(({ json }) => json));
  };
  return {
    get writable() {
      return writer.writable;
    },
    deliver: (batch) => writer.write(batch.render('plain', framesOf)),
    drained: (signal) => writer.drained(signal),
  };
}
