/** The way of a tRPC call: failed at once where the gateway refuses the client, else sent over its socket. */
import { TRPCClientError, type TRPCLink, wsLink } from '@trpc/client';
import { observable } from '@trpc/server/observable';
import superjson from 'superjson';
import type { Connection } from './connection.ts';
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
  return [failsWhenRefused(connection), viaSocket(connection)];
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
