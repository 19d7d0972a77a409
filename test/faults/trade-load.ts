/** Trading at gateways that are killed, and watches of their state that live through it. */
import { TRPCClientError } from '@trpc/client';
import type { EventDraft } from '../helpers/lumiere.ts';
import { connect } from './load.ts';
import { trading } from './trading.ts';

const RETRY_MS = 20;

export interface Trading extends AsyncDisposable {
  /** Events that were acknowledged so far. */
  readonly acknowledged: number;
  /** Resolves when so many more have been; rejects when one was refused for good. */
  more(count: number): Promise<void>;
  /** Publishes no more, and resolves when everything that was begun is acknowledged. */
  stop(): Promise<void>;
}

let loads = 0;

/** @param things how many there are of each kind. @param inFlight publishes at any moment, of so many events each. */
export function startTrading({
  url,
  token,
  seed,
  things = 60,
  inFlight = 8,
  batch = 5,
}: {
  url: string;
  token: string;
  seed: number;
  things?: number;
  inFlight?: number;
  batch?: number;
}): Trading {
  const client = connect(url, token);
  const name = `trade${++loads}`;
  let acknowledged = 0;
  let isStopping = false;
  let onAcknowledged = Promise.withResolvers<void>();
  const publisher = async (index: number) => {
    const next = trading(seed * 1000 + index, things);
    for (let n = 0; !isStopping; n += 1) {
      const drafts = Array.from({ length: batch }, (_, at) => ({ ...next(), idempotency_key: `${name}.${index}.${n}.${at}` }));
      await untilAcknowledged(() => client.trpc.events.publishBatch.mutate(drafts as EventDraft[]));
      acknowledged += batch;
      onAcknowledged.resolve();
      onAcknowledged = Promise.withResolvers();
    }
  };
  const running = Promise.all(Array.from({ length: inFlight }, (_, index) => publisher(index))).then(() => undefined);
  running.catch(() => undefined);
  return {
    get acknowledged() {
      return acknowledged;
    },
    more: async (count) => {
      const target = acknowledged + count;
      while (acknowledged < target) await Promise.race([onAcknowledged.promise, running]);
    },
    stop: async () => {
      isStopping = true;
      await running;
    },
    [Symbol.asyncDispose]: async () => {
      isStopping = true;
      await client[Symbol.asyncDispose]();
    },
  };
}

/** An error without a code is a lost connection. */
async function untilAcknowledged(publish: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await publish();
      return;
    } catch (error) {
      const code = error instanceof TRPCClientError ? (error.data as { code?: string } | null | undefined)?.code : 'none';
      if (code !== undefined && code !== 'SERVICE_UNAVAILABLE') throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

export interface Thing {
  readonly id: string;
  readonly open: boolean;
  readonly state: object;
}

interface Given {
  readonly id: string;
  readonly type?: string;
  readonly channel: string;
  readonly entity: string;
  readonly key: string;
  readonly open: boolean;
  readonly state: object | null;
  readonly data: { readonly position: string; readonly reason: string };
}

export interface StateWatch extends AsyncDisposable {
  readonly things: ReadonlyMap<string, Thing>;
  /** Why it had to begin anew, each time. */
  readonly resets: readonly string[];
  /** Items given so far. */
  readonly given: number;
  /** Changes of a thing that came after one of a later number, which there must not be. */
  readonly backwards: number;
  /** Resolves once what it has is what `done` says. */
  until(done: (things: ReadonlyMap<string, Thing>) => boolean): Promise<void>;
}

const ENTITIES = ['strategy', 'backtest', 'order', 'position', 'job'] as const;

/** Keeps a map as the protocol tells clients to, through every connection, by tRPC's own client. */
export function watchStates(
  url: string,
  token: string,
  selection: { entities?: (typeof ENTITIES)[number][]; open?: boolean; max_per_second?: number } = {},
): StateWatch {
  const client = connect(url, token);
  const things = new Map<string, Thing>();
  const resets: string[] = [];
  const waiting = new Set<() => void>();
  let isNew: Set<string> | undefined = new Set();
  let given = 0;
  let backwards = 0;
  let failure: unknown;
  const wake = () => {
    for (const check of waiting) check();
  };
  const take = (item: Given) => {
    if (item.type === 'state.reset') {
      resets.push(item.data.reason);
      isNew = new Set();
    } else if (item.type === 'state.ready') {
      for (const name of things.keys()) if (isNew?.has(name) === false) things.delete(name);
      isNew = undefined;
    } else {
      const name = JSON.stringify([item.channel, item.entity, item.key]);
      given += 1;
      const before = things.get(name);
      // What is given from its beginning may begin with what is stored, which is older than what is here.
      const isCompared = isNew === undefined || isNew.has(name);
      isNew?.add(name);
      if (before !== undefined && isCompared && numberOf(item.id) < numberOf(before.id)) backwards += 1;
      if (item.state === null) things.delete(name);
      else things.set(name, { id: item.id, open: item.open, state: item.state });
    }
  };
  const subscription = client.trpc.state.watch.subscribe(
    { channels: ['**'], entities: [...ENTITIES], ...selection },
    {
      onData: ({ data }) => {
        take(data as unknown as Given);
        wake();
      },
      onError: (error) => {
        failure = error;
        wake();
      },
    },
  );
  return {
    things,
    resets,
    get given() {
      return given;
    },
    get backwards() {
      return backwards;
    },
    until: (done) =>
      new Promise((resolve, reject) => {
        const check = () => {
          if (failure !== undefined) reject(failure);
          else if (isNew === undefined && done(things)) resolve();
          else return;
          waiting.delete(check);
        };
        waiting.add(check);
        check();
      }),
    [Symbol.asyncDispose]: async () => {
      subscription.unsubscribe();
      await client[Symbol.asyncDispose]();
    },
  };
}

function numberOf(id: string): number {
  return Number(id.split('-')[1]);
}
