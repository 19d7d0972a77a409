/**
 * What the four example services have in common: a client, a count of what the gateway acknowledged, and a few words with
 * the process that started them.
 */
import { type ChannelOf, CourierClient, type EventInput, type EventType, type PublishOptions, type Receipt } from '@lumiere/courier-client';

/** From the demo to a service. */
export type Command = Begin | { readonly kind: 'count' };
/** To the one that sets things going: run these jobs. */
export interface Begin {
  readonly kind: 'begin';
  readonly correlationId: string;
  readonly jobs: readonly string[];
}
/** From a service to the demo. */
export type Report = { readonly kind: 'ready' } | { readonly kind: 'done' } | { readonly kind: 'counted'; readonly acknowledged: number };

export interface Service {
  /** A missed event would make the research wrong: then the service fails. */
  readonly client: CourierClient;
  /** As the client's, counted. */
  publish<const T extends EventType>(channel: ChannelOf<T>, type: T, data: EventInput<T>, options?: PublishOptions): Promise<Receipt<T>>;
  /** Counts what was published otherwise. */
  count(receipts: Promise<readonly Receipt[]>): Promise<void>;
  /** Tells the demo that this service has nothing more to do, unless more is begun. */
  done(): void;
}

/** Runs a service until its process is ended. `begin` is for the one that sets things going. */
export async function runService(
  prepare: (service: Service) => Promise<unknown>,
  begin: (service: Service, command: Begin) => Promise<void> = async () => undefined,
): Promise<void> {
  const { COURIER_URL: url = '', COURIER_TOKEN: token = '' } = process.env;
  const client = new CourierClient({ url, token, onGap: 'fail' });
  let acknowledged = 0;
  /** Publishes that have not been acknowledged yet, though others may have seen their events. */
  const pending = new Set<Promise<unknown>>();
  const counted = async <R>(publishing: Promise<R>, events: (result: R) => number): Promise<R> => {
    pending.add(publishing);
    const result = await publishing;
    pending.delete(publishing);
    acknowledged += events(result);
    return result;
  };
  const service: Service = {
    client,
    publish: (channel, type, data, options) => counted(client.publish(channel, type, data, options), () => 1),
    count: async (receipts) => void (await counted(receipts, ({ length }) => length)),
    done: () => tell({ kind: 'done' }),
  };
  const tellCount = async () => {
    while (pending.size > 0) await Promise.all(pending);
    tell({ kind: 'counted', acknowledged });
  };
  process.on('message', (command: Command) => {
    if (command.kind === 'begin') begin(service, command).catch(fail);
    else tellCount().catch(fail);
  });
  // Keeps the process, also while it has no connection.
  process.channel?.ref();
  await prepare(service);
  tell({ kind: 'ready' });
}

function tell(report: Report): void {
  process.send?.(report);
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}
