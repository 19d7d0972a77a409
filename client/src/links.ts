/** The links of a tRPC call: the first fails it when the gateway refuses the client, the last sends it over the socket. */
import { TRPCClientError, type TRPCLink, wsLink } from '@trpc/client';
import { observable, type Unsubscribable } from '@trpc/server/observable';
import superjson from 'superjson';
import { causedBy, withoutCause } from './cause.ts';
import type { Connection } from './connection.ts';
import { CourierError } from './errors.ts';
import type { AppRouter } from './router.ts';

/** The gateway refuses superjson's references, so a value at several places is written at each of them. */
const transformer = {
  deserialize: superjson.deserialize,
  serialize: (value: unknown) => {
    if (value instanceof Plain) return { json: value.value };
    const { json, meta } = superjson.serialize(value);
    return meta?.values === undefined ? { json } : { json, meta: { values: meta.values, v: 1 } };
  },
};

/** An input that is to be sent as its own JSON, in which a date is text. */
class Plain {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }
}

/** Has an input sent as its own JSON: superjson would look for what else is in it. It must have no references that JSON cannot write. */
export function plain<T>(value: T): T {
  return new Plain(value) as never;
}

export function links(connection: Connection): TRPCLink<AppRouter>[] {
  return [failsWhenRefused(connection), endsWithConnection(connection), viaSocket(connection)];
}

/** The context of a subscription that waits while the gateway refuses the client. */
export const WAITS_WHEN_REFUSED = { waitsWhenRefused: true };

/** Fails calls while the gateway refuses the client, except subscriptions that wait until it accepts the client again. */
function failsWhenRefused(connection: Connection): TRPCLink<AppRouter> {
  return () =>
    ({ op, next }) =>
      observable((observer) => {
        const { refusal } = connection;
        const refused = () => observer.error(TRPCClientError.from(refusal.reason));
        const refusedLater = () => {
          // A client that closes completes its subscriptions.
          if (op.type !== 'subscription' || refusal.reason.code !== 'CLOSED') refused();
        };
        if ((op.context as Partial<typeof WAITS_WHEN_REFUSED>).waitsWhenRefused) return next(op).subscribe(observer);
        if (refusal.aborted) {
          refused();
          return;
        }
        const call = next(op).subscribe(observer);
        refusal.addEventListener('abort', refusedLater, { once: true });
        return () => {
          refusal.removeEventListener('abort', refusedLater);
          call.unsubscribe();
        };
      });
}

/**
 * A gateway that refuses a connection answers its calls with UNAUTHORIZED, and then closes it; the close code says whether the
 * client may reconnect. A call fails as if the connection were lost. A subscription without data starts again, as tRPC's client
 * does it for those without an answer; the caller of a subscription with data resumes it after its last event.
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
              const { result } = envelope;
              isServed ||= result.type === 'data';
              const given = result as { readonly data?: { readonly data?: unknown } | undefined };
              causedBy(given.data?.data, () => observer.next(envelope));
            },
            error: (error) => {
              if (isRefusal(error, op.path)) void connection.unauthorized(error.message).then(() => lost(error));
              else withoutCause(() => observer.error(error));
            },
            complete: () => withoutCause(() => observer.complete()),
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

/** Whether the gateway refuses the connection. It refuses only the new token of `auth.refresh`, and keeps the connection. */
function isRefusal({ data }: TRPCClientError<AppRouter>, path: string): boolean {
  return data?.code === 'UNAUTHORIZED' && path !== 'auth.refresh';
}

/** Sends a call over the socket, which the first call opens. */
function viaSocket(connection: Connection): TRPCLink<AppRouter> {
  return (runtime) => (call) => {
    try {
      return wsLink<AppRouter>({ client: connection.socket, transformer })(runtime)(call);
    } catch (error) {
      return observable((observer) => observer.error(TRPCClientError.from(error as Error)));
    }
  };
}
