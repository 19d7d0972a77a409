/** What ends a consumer besides its caller: a signal, and a gateway that is away for too long. */
import type { Connection } from './connection.ts';
import type { ConnectionState } from './connection-state.ts';
import type { Consumer } from './consumer.ts';
import { after } from './retry.ts';

/** Calls `end` when the signal aborts, or at once when it has aborted, unless the consumer ends first. */
export function endWith(consumer: Consumer, signal: AbortSignal | undefined, end: () => void): void {
  if (signal === undefined) return;
  if (signal.aborted) {
    end();
    return;
  }
  signal.addEventListener('abort', end, { once: true });
  consumer.onEnd(() => signal.removeEventListener('abort', end));
}

/** Fails the consumer once the gateway has not answered for so long. A gateway that refuses the client answers. */
export function failWhenAway(consumer: Consumer, connection: Connection, giveUpAfter: number): void {
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
