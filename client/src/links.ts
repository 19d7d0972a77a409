/** The way of a tRPC call: failed at once where the gateway refuses the client, else sent over its socket. */
import { TRPCClientError, type TRPCLink, wsLink } from '@trpc/client';
import { observable, type Unsubscribable } from '@trpc/server/observable';
import superjson from 'superjson';
import type { Connection } from './connection.ts';
import { CourierError } from './errors.ts';
import type { AppRouter } from './router.ts';

/** The gateway takes no references: what stands at several places is written out at each of them, and that is enough. */
const transformer = {
  deserialize: superjson.deserialize,
  serialize: (value: unknown) => {
    const { json, meta } = superjson.serialize(value);
    return meta?.values === undefined ? { json } : { json, meta: { values: meta.values, v: 1 } };
  },
};

export function links(connection: Connection): TRPCLink<AppRouter>[] {
  return [failsWhenRefused(connection), endsWithConnection(connection), viaSocket(connection)];
}

/** A subscription waits until the client is let in again; nobody wants to wait like that for an answer. */
function failsWhenRefused(connection: Connection): TRPCLink<AppRouter> {
  return () =>
    ({ op, next }) =>
      observable((observer) => {
        const { refusal } = connection;
        const refused = () => observer.error(TRPCClientError.from(refusal.reason));
        if (op.type === 'subscription') return next(op).subscribe(observer);
        if (refusal.aborted) {
          refused();
          return;
        }
        const call = next(op).subscribe(observer);
        refusal.addEventListener('abort', refused, { once: true });
        return () => {
          refusal.removeEventListener('abort', refused);
          call.unsubscribe();
        };
      });
}

/**
 * A gateway that refuses a connection answers the calls of that connection before it closes it, and its close says what is
 * to become of the client. To a call both are one: the connection was lost. A subscription is asked for again, as tRPC's
 * client does with those that had no answer; one that was given something already knows better where to go on.
 */
function endsWithConnection(connection: Connection): TRPCLink<AppRouter> {
  return () =>
    ({ op, next }) =>
      observable((observer) => {
        let call: Unsubscribable | undefined;
        let isServed = false;
        let isOver = false;
        const ask = () => {
          call = next(op).subscribe({
            next: (envelope) => {
              isServed ||= envelope.result.type === 'data';
              observer.next(envelope);
            },
            error: (error) => {
              if (isRefusal(error, op.path)) void connection.unauthorized(error.message).then(() => lost(error));
              else observer.error(error);
            },
            complete: () => observer.complete(),
          });
        };
        const lost = (cause: unknown) => {
          if (isOver) return;
          if (op.type === 'subscription' && !isServed) ask();
          else observer.error(TRPCClientError.from(new CourierError('UNREACHABLE', 'the connection was lost', { cause })));
        };
        ask();
        return () => {
          isOver = true;
          call?.unsubscribe();
        };
      });
}

/** A refresh is refused for its own token, and the connection stays. */
function isRefusal({ data }: TRPCClientError<AppRouter>, path: string): boolean {
  return data?.code === 'UNAUTHORIZED' && path !== 'auth.refresh';
}

/** The socket is opened by the first call. */
function viaSocket(connection: Connection): TRPCLink<AppRouter> {
  return (runtime) => (call) => {
    try {
      return wsLink<AppRouter>({ client: connection.socket, transformer })(runtime)(call);
    } catch (error) {
      return observable((observer) => observer.error(TRPCClientError.from(error as Error)));
    }
  };
}
