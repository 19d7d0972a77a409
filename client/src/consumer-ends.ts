/** What ends a consumer, or another watch, besides its caller: a signal, and a gateway that is away for too long. */
import type { Connection } from './connection.ts';
import type { ConnectionState } from './connection-state.ts';
import { after } from './retry.ts';

/** What can be ended from outside. */
export interface Endable {
  /** Ends without an error. */
  end(): void;
  fail(error: unknown): void;
  /** Calls the listener at the end; at once where that was before. */
  onEnd(listener: () => void): void;
}

/** Calls `end` when the signal aborts, or at once when it has aborted, unless the consumer ends first. */
export function endWith(consumer: Endable, signal: AbortSignal | undefined, end: () => void): void {
  if (signal === undefined) return;
  if (signal.aborted) {
    end();
    return;
  }
  signal.addEventListener('abort', end, { once: true });
  consumer.onEnd(() => signal.removeEventListener('abort', end));
}

/** Fails the consumer once the gateway has not answered for so long. A gateway that refuses the client answers. */
export function failWhenAway(consumer: Endable, connection: Connection, giveUpAfter: number): void {
  let stopWaiting: (() => void) | undefined;
  const follow = ({ status }: ConnectionState) => {
    if (status === 'idle' || status === 'connecting') {
      stopWaiting ??= after(giveUpAfter, () => consumer.fail(connection.outOfTime('subscription', giveUpAfter, false)));
    } else {
      stopWaiting?.();
      stopWaiting = undefined;
    }
  };
  const stop = connection.state.subscribe(follow);
  follow(connection.state.get());
  consumer.onEnd(() => {
    stop();
    stopWaiting?.();
  });
}
