/**
 * Load for the fault tests, by unmodified clients that live through whatever happens to the gateway: publishers that
 * repeat what was not acknowledged with the same key, and a subscriber that reconnects and resumes.
 */
import { createTRPCClient, createWSClient, type TRPCClient, TRPCClientError, wsLink } from '@trpc/client';
import superjson from 'superjson';
import type { AppRouter } from '../../src/router/index.ts';
import { type Collected, collect } from '../helpers/collect.ts';
import type { Item, Ledger } from './ledger.ts';

const RETRY_MS = 20;

/** `NODE_OPTIONS` of a gateway that collects its garbage early, so that its memory shows what it holds. */
export const TIDY_HEAP = '--max-old-space-size=64 --max-semi-space-size=2';

export interface Connected extends AsyncDisposable {
  readonly trpc: TRPCClient<AppRouter>;
}

/** A client that comes back soon after it was cut off. */
export function connect(url: string, token: string): Connected {
  const ws = createWSClient({ url: `${url.replace('http', 'ws')}/trpc`, connectionParams: { token }, retryDelayMs: () => RETRY_MS });
  return {
    trpc: createTRPCClient<AppRouter>({ links: [wsLink({ client: ws, transformer: superjson })] }),
    [Symbol.asyncDispose]: () => ws.close(),
  };
}

export interface LoadOptions {
  readonly url: string;
  /** A token of the service forge. */
  readonly token: string;
  readonly ledger: Ledger;
  /** Publishes in flight at any moment. */
  readonly inFlight: number;
  /** Events in each publish. */
  readonly batch?: number;
  /** Characters of padding in each event; 1000 at most. */
  readonly padding?: number;
  /** What each publisher waits between two publishes, in ms. */
  readonly pauseMs?: number;
}

export interface Load extends AsyncDisposable {
  /** Resolves when so many more events have been acknowledged; rejects when a publish was refused for good. */
  more(count: number): Promise<void>;
  /** Publishes that were not acknowledged, and begun again. */
  readonly retries: number;
  /** Publishes no more, and resolves when everything that was begun is acknowledged. */
  stop(): Promise<void>;
}

let loads = 0;

export function startLoad({ url, token, ledger, inFlight, batch = 1, padding = 0, pauseMs = 0 }: LoadOptions): Load {
  const client = connect(url, token);
  const name = `load${++loads}`;
  const waiting = new Set<{ readonly target: number; readonly resolve: () => void }>();
  let acknowledged = 0;
  let retries = 0;
  let stopping = false;
  const wake = () => {
    for (const one of waiting) {
      if (one.target > acknowledged) continue;
      waiting.delete(one);
      one.resolve();
    }
  };
  const publisher = async (index: number): Promise<void> => {
    for (let n = 0; !stopping; n += 1) {
      const texts = Array.from({ length: batch }, (_, position) => `${name}.${index}.${n}.${position}`);
      const receipts = await publishUntilAcknowledged(client.trpc, texts, padding, () => {
        retries += 1;
      });
      for (const [position, { id }] of receipts.entries()) ledger.acknowledge(id, texts[position] as string);
      acknowledged += receipts.length;
      wake();
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  const running = Promise.all(Array.from({ length: inFlight }, (_, index) => publisher(index)));
  running.catch(() => undefined);
  const stop = async () => {
    stopping = true;
    await running;
  };
  return {
    more: (count) =>
      Promise.race([new Promise<void>((resolve) => waiting.add({ target: acknowledged + count, resolve })), running.then(() => undefined)]),
    get retries() {
      return retries;
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      stopping = true;
      await client[Symbol.asyncDispose]();
    },
  };
}

async function publishUntilAcknowledged(
  trpc: TRPCClient<AppRouter>,
  texts: readonly string[],
  padding: number,
  onRetry: () => void,
): Promise<{ id: string }[]> {
  const drafts = texts.map((text) => ({
    type: 'forge.job.progress' as const,
    channel: 'forge.job.load' as const,
    data: { job_id: 'load', progress: 0.5, step: text, ...(padding > 0 && { message: 'x'.repeat(padding) }) },
    idempotency_key: text,
  }));
  for (;;) {
    try {
      return await trpc.events.publishBatch.mutate(drafts);
    } catch (error) {
      if (!isRetryable(error)) throw error;
      onRetry();
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** An error without a code is a lost connection. */
function isRetryable(error: unknown): boolean {
  if (!(error instanceof TRPCClientError)) return false;
  const code = (error.data as { code?: string } | null | undefined)?.code;
  return code === undefined || code === 'SERVICE_UNAVAILABLE';
}

export interface Watching extends AsyncDisposable {
  /** Every event received so far, without notices. */
  readonly items: Item[];
  /** Types of the notices received so far. */
  readonly notices: string[];
  /** What the gaps received so far say. */
  readonly gaps: object[];
  /** Resolves when this position has been received. */
  reaches(id: string): Promise<void>;
  /** Resolves when so many events have been received. */
  count(count: number): Promise<void>;
}

type Received = { id: string; data: { type: string; data: object } };

/** A subscriber to everything, from the beginning unless told otherwise, through every reconnection. */
export function watch(
  url: string,
  token: string,
  { onItem, ...start }: { from?: 'now' | 'earliest'; lastEventId?: string; onItem?: (event: { id: string; type: string }) => void } = {
    from: 'earliest',
  },
): Watching {
  const client = connect(url, token);
  const items: Item[] = [];
  const notices: string[] = [];
  const gaps: object[] = [];
  const collected: Collected<Received> = collect<Received>((observer) =>
    client.trpc.events.subscribe.subscribe(
      { channels: ['**'], ...start },
      {
        ...observer,
        onData: (received) => {
          const { id, data: event } = received as Received;
          onItem?.({ id, type: event.type });
          if (event.type.startsWith('courier.')) notices.push(event.type);
          else items.push({ id, text: textOf(event.data) });
          if (event.type === 'courier.gap') gaps.push(event.data);
          observer.onData(received as Received);
        },
      },
    ),
  );
  return {
    items,
    notices,
    gaps,
    reaches: async (id) => void (await collected.until(() => items.at(-1)?.id === id)),
    count: async (count) => void (await collected.until(() => items.length >= count)),
    [Symbol.asyncDispose]: async () => {
      collected.unsubscribe();
      await client[Symbol.asyncDispose]();
    },
  };
}

/** What is stored, by the plain surface. */
export async function storedEvents(url: string, token: string): Promise<Item[]> {
  const items: Item[] = [];
  for (let after = ''; ; ) {
    const response = await fetch(`${url}/events/**?limit=1000${after}`, { headers: { authorization: `Bearer ${token}` } });
    const page = (await response.json()) as { events: { id: string; data: object }[]; next: string; has_more: boolean };
    for (const { id, data } of page.events) items.push({ id, text: textOf(data) });
    if (!page.has_more) return items;
    after = `&after=${page.next}`;
  }
}

function textOf(data: object): string {
  return 'step' in data ? String(data.step) : '';
}
