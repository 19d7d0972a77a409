/**
 * WebSocket without tRPC: `/ws/{channels}?token=&last_event_id=&from=&types=`, and of the state `?state=`. Each text frame is one event or item in JSON; clients
 * have nothing to send. Errors close the connection, with the reason as text.
 */
import type { Connection } from '../connections/connection.ts';
import { type Ending, endingOf } from '../connections/wire.ts';
import type { Delivery, Sink } from '../delivery/batch.ts';
import type { Failures } from '../observe/failures.ts';
import type { Meter } from '../observe/meter.ts';
import type { Served } from '../state/served.ts';
import { subscribe } from '../subscribe.ts';
import { watchState } from '../watch-state.ts';
import { isWatch, plainSubscription, plainWatch } from './plain-address.ts';
import type { RequestTarget } from './request-target.ts';
import { type Opened, type Upgraded, WebSocketWire, type WebSocketWireOptions } from './web-socket-wire.ts';
import { textEncoding } from './web-socket-writer.ts';

export interface PlainWebSocketDeps extends WebSocketWireOptions {
  readonly pipeline: Served;
  readonly failures: Failures;
}

/** Serves one connection until it closes. Never rejects. */
export async function servePlainWebSocket(
  deps: PlainWebSocketDeps,
  connection: Connection,
  upgraded: Upgraded,
  { target, opened }: { readonly target: RequestTarget; readonly opened: Opened | undefined },
): Promise<void> {
  const wire = new PlainWire(connection, upgraded, deps);
  connection.carriedBy(wire);
  // The client may say nothing before it is let in.
  upgraded.ws.pause();
  try {
    await opened?.();
    upgraded.ws.resume();
    await connection.charge('subscribe');
    const { pipeline } = deps;
    const { contract } = pipeline;
    const events = isWatch(target)
      ? watchState(pipeline, connection, plainWatch(contract, connection.principal, target, '/ws/'))
      : subscribe(pipeline, connection, plainSubscription(contract, connection.principal, target, '/ws/'));
    await events.attach(wire.sink(deps.pipeline.meter), connection.signal);
  } catch (error) {
    const context = { request_id: connection.requestId, connection_id: connection.id };
    if (connection.ending === undefined) connection.end(endingOf(deps.failures.answer('websocket', error, context, connection)));
  }
}

class PlainWire extends WebSocketWire {
  protected override onMessage(): void {
    // Clients have nothing to send.
  }

  override goodbye(ending: Ending): void {
    this.close(ending);
    // The closing handshake has to be read.
    this.ws.resume();
  }

  sink(meter: Meter): Sink {
    return this.writer.sink(textEncoding('plain', plainText, meter));
  }
}

/** A message has nothing beside it that says what to go on behind: an item says it itself. */
function plainText({ id, json, hasTimestamp }: Delivery): string {
  return hasTimestamp ? json : `{"cursor":"${id}",${json.slice(1)}`;
}
