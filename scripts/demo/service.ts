/**
 * What the four example services have in common: a typed client, subscriptions whose events are handled one after
 * another, a count of what the gateway acknowledged, and a few words with the process that started them.
 */
import { randomUUID } from 'node:crypto';
import { createTRPCClient, createWSClient, retryLink, type TRPCClient, type TRPCLink, wsLink } from '@trpc/client';
import superjson from 'superjson';
import type { CourierEvent } from '../../src/contract/index.ts';
import type { AppRouter } from '../../src/router/index.ts';

/** From the demo to a service. */
export type Command = { readonly kind: 'begin'; readonly correlationId: string } | { readonly kind: 'stop' };
/** From a service to the demo. */
export type Report = { readonly kind: 'ready' } | { readonly kind: 'done' } | { readonly kind: 'stopped'; readonly acknowledged: number };

export interface Service {
  readonly trpc: TRPCClient<AppRouter>;
  /** Handles the events of these types on these channels, in order, one at a time. Resolves once live. */
  on<T extends CourierEvent['type']>(
    channels: string[],
    types: readonly T[],
    handle: (event: Extract<CourierEvent, { type: T }>) => Promise<void>,
  ): Promise<void>;
  /** Counts a publish that returned. */
  count<T>(receipt: Promise<T>): Promise<T>;
  /** Tells the demo that this service has nothing more to do. */
  done(): void;
}

/** How often a publish is repeated, and after how long, in ms. */
const MAX_ATTEMPTS = 50;
const RETRY_MS = 100;

/** Gives every publish a key, so that it may be repeated. */
const withKey: TRPCLink<AppRouter> =
  () =>
  ({ op, next }) => {
    const keyed = (draft: unknown) => ({ ...(draft as object), idempotency_key: randomUUID() });
    if (op.type !== 'mutation') return next(op);
    return next({ ...op, input: Array.isArray(op.input) ? op.input.map(keyed) : keyed(op.input) });
  };

/** Repeats publishes whose acknowledgement did not come, or that the gateway could not take at the moment. */
const repeating = retryLink<AppRouter>({
  retry: ({ op, error, attempts }) => {
    const code = error.data?.code;
    return op.type === 'mutation' && (code === undefined || code === 'SERVICE_UNAVAILABLE') && attempts < MAX_ATTEMPTS;
  },
  retryDelayMs: () => RETRY_MS,
});

/** Runs a service until it is told to stop. `begin` is for the one that sets things going. */
export async function runService(
  prepare: (service: Service) => Promise<void>,
  begin: (service: Service, correlationId: string) => Promise<void> = async () => undefined,
): Promise<void> {
  const { COURIER_URL = '', COURIER_TOKEN: token = '' } = process.env;
  const ws = createWSClient({ url: `${COURIER_URL.replace('http', 'ws')}/trpc`, connectionParams: { token } });
  const trpc = createTRPCClient<AppRouter>({ links: [withKey, repeating, wsLink({ client: ws, transformer: superjson })] });
  let acknowledged = 0;
  /** Publishes that have not been acknowledged yet, though others may have seen their events. */
  const pending = new Set<Promise<unknown>>();
  const service: Service = {
    trpc,
    on: (channels, types, handle) => subscribe(trpc, channels, types, handle),
    count: async (receipt) => {
      pending.add(receipt);
      const result = await receipt;
      pending.delete(receipt);
      acknowledged += Array.isArray(result) ? result.length : 1;
      return result;
    },
    done: () => tell({ kind: 'done' }),
  };
  const stop = async () => {
    while (pending.size > 0) await Promise.all(pending);
    tell({ kind: 'stopped', acknowledged });
    await ws.close();
    process.disconnect?.();
  };
  process.on('message', (command: Command) => {
    if (command.kind === 'begin') begin(service, command.correlationId).catch(fail);
    else stop().catch(fail);
  });
  await prepare(service);
  tell({ kind: 'ready' });
}

function subscribe<T extends CourierEvent['type']>(
  trpc: TRPCClient<AppRouter>,
  channels: string[],
  types: readonly T[],
  handle: (event: Extract<CourierEvent, { type: T }>) => Promise<void>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let last = Promise.resolve();
    trpc.events.subscribe.subscribe(
      { channels, types: [...types] },
      {
        onData: ({ data: event }) => {
          if (event.type === 'courier.live') resolve();
          // The gateway sends only the types that were asked for.
          else if (event.type !== 'courier.gap') last = last.then(() => handle(event as Extract<CourierEvent, { type: T }>)).catch(fail);
        },
        onError: reject,
      },
    );
  });
}

function tell(report: Report): void {
  process.send?.(report);
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}
