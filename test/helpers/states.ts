/** States as they are served, on a memory log, beside a model of them: the fold of what was published with the entities' own reducers. */
import { setImmediate as turn } from 'node:timers/promises';
import { principalOf } from '../../src/auth/principal.ts';
import { localBroker } from '../../src/broker/broker.ts';
import type { Connection } from '../../src/connections/connection.ts';
import type { Contract } from '../../src/contract/contract.ts';
import type { FoldedEvent } from '../../src/contract/entities.ts';
import type { Delivery } from '../../src/delivery/batch.ts';
import { openPipeline } from '../../src/delivery/pipeline.ts';
import type { EventLog } from '../../src/log/log.ts';
import { openMemoryLog } from '../../src/log/memory.ts';
import type { StateStore } from '../../src/log/state-store.ts';
import { Failures } from '../../src/observe/failures.ts';
import { createLogger, type Logger } from '../../src/observe/logger.ts';
import { noMeter } from '../../src/observe/meter.ts';
import { noPublications } from '../../src/observe/publications.ts';
import { noTracing } from '../../src/observe/tracing.ts';
import { readState, type StateRequest } from '../../src/read-state.ts';
import { LiveState, type StateSettings } from '../../src/state/live-state.ts';
import type { Served } from '../../src/state/served.ts';
import { noUsage } from '../../src/usage/usage.ts';
import { type WatchRequest, watchState } from '../../src/watch-state.ts';
import { TestSink } from './pipeline.ts';

export interface Draft {
  readonly channel: string;
  readonly type: string;
  readonly data: object;
}

export interface Item {
  readonly id: string;
  readonly channel: string;
  readonly entity: string;
  readonly key: string;
  readonly open: boolean;
  readonly state: Readonly<Record<string, unknown>> | null;
}

/** By name of the thing. */
export type Things = Map<string, Omit<Item, 'id'>>;

export interface TestStatesOptions {
  readonly contract: Contract;
  /** How often changes are stored, in ms. */
  readonly storeMs?: number;
  readonly keepMs?: number;
  /** Rows of one read, at most. */
  readonly pageRows?: number;
  readonly logger?: Logger;
}

export interface TestStates extends AsyncDisposable {
  readonly pipeline: Served;
  readonly store: HeldStore;
  publish(...drafts: readonly Draft[]): Promise<void>;
  /** Resolves once all that was published is stored as states. */
  stored(): Promise<void>;
  /** What is selected of the state after the event with this number. */
  model(seq: number, selection: Selection): Things;
  readonly head: number;
  watch(request: WatchRequest, options?: { readonly room?: number; readonly state?: ClientState }): Watcher;
  get(request: StateRequest): ReturnType<typeof readState>;
}

export type Selection = Pick<WatchRequest, 'channels' | 'entities' | 'keys' | 'open' | 'where'>;

const silent = () => createLogger({ logLevel: 'silent', logFormat: 'json' });

/** The events of a log as one instance has them. */
export function openEvents(contract: Contract, log: EventLog) {
  return openPipeline({
    contract,
    log,
    broker: localBroker(),
    retentionMs: 1e9,
    draining: new AbortController().signal,
    meter: noMeter,
    publications: noPublications,
    tracing: noTracing,
    usage: noUsage,
    onError: (error) => {
      throw error;
    },
    present: {},
  });
}

/** Of somebody who may read all of it. */
export function connectionOf(contract: Contract): Connection {
  const principal = principalOf(contract, 'root', 'admin', { subscribe: [], publish: [] }, Number.POSITIVE_INFINITY);
  return { principal, subscribe: () => () => undefined } as unknown as Connection;
}

export async function startStates({
  contract,
  storeMs = 1,
  keepMs = 1e9,
  pageRows = 500,
  logger = silent(),
}: TestStatesOptions): Promise<TestStates> {
  await using stack = new AsyncDisposableStack();
  const memory = stack.use(openMemoryLog());
  const store = new HeldStore(memory.states, pageRows);
  const log = withStates(memory, store.states);
  const failures = new Failures({ meter: noMeter, logger });
  const events = stack.use(await openEvents(contract, log));
  const states = stack.use(await LiveState.open({ contract, pipeline: events, keepMs, failures, logger, settings: { storeMs } }));
  // Before the states are closed: what they store last is stored.
  stack.defer(() => store.release());
  const pipeline: Served = { ...events, states };
  const published: FoldedEvent[] = [];
  const connection = connectionOf(contract);
  const resources = stack.move();
  return {
    pipeline,
    store,
    publish: async (...drafts) => {
      const appended = await log.append(
        drafts.map(({ channel, type, data }, index) => {
          const metadata = { timestamp: new Date(published.length + index).toISOString(), source: contract.serviceOf(type) ?? '' };
          return {
            channel,
            family: contract.channels.familyOf(channel) as string,
            type,
            version: contract.types.get(type)?.version ?? 1,
            body: JSON.stringify({ channel, type, metadata, data }),
          };
        }),
      );
      for (const { event } of appended) published.push({ id: log.positions.at(event.seq), ...JSON.parse(event.body) });
    },
    stored: async () => {
      const isStored = async () => {
        const { builds } = await log.states.look([...contract.entities.keys()]);
        return builds.every(({ seq }) => seq >= published.length);
      };
      while (!(await isStored())) await turn();
    },
    model: (seq, selection) => modelOf(contract, published.slice(0, seq), selection),
    get head() {
      return published.length;
    },
    watch: (request, options) => new Watcher(pipeline, connection, request, options),
    get: (request) => readState(pipeline, connection, request, new AbortController().signal),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** A log that keeps states elsewhere. */
function withStates(log: EventLog, states: StateStore): EventLog {
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'states') return states;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** A store whose pages are short, and that lets what is to be written wait. */
export class HeldStore {
  readonly states: StateStore;
  #held: PromiseWithResolvers<void> | undefined;

  constructor(states: StateStore, pageRows: number) {
    this.states = {
      ...states,
      read: (query) => states.read({ ...query, limit: Math.min(query.limit, pageRows) }),
      write: async (write) => {
        await this.#held?.promise;
        return states.write(write);
      },
    };
  }

  /** Nothing is written until `release`. */
  hold(): void {
    this.#held ??= Promise.withResolvers();
  }

  release(): void {
    this.#held?.resolve();
    this.#held = undefined;
  }
}

export function nameOf({ channel, entity, key }: Pick<Item, 'channel' | 'entity' | 'key'>): string {
  return JSON.stringify([channel, entity, key]);
}

/** The client's rule: an item takes the place of an earlier one; `null` removes. */
function put(things: Things, { id: _, ...item }: Item): void {
  if (item.state === null) things.delete(nameOf(item));
  else things.set(nameOf(item), item);
}

/** What a client has, over all its watches. */
export class ClientState {
  things: Things = new Map();
  /** What is given again after a reset. */
  #again: Things | undefined;
  /** What to resume with. */
  lastEventId: string | undefined;
  isReady = false;
  /** At each `state.ready`: its position, and what was had then. */
  readonly snapshots: { readonly seq: number; readonly things: Things }[] = [];
  /** What went against what is guaranteed. */
  readonly faults: string[] = [];
  readonly resets: string[] = [];
  #seqs = new Map<string, number>();

  take(delivery: Delivery, afterReady: boolean, lastSeq: number): void {
    this.lastEventId = delivery.id;
    const told = JSON.parse(delivery.json);
    if (told.type === 'state.reset') {
      this.resets.push(told.data.reason);
      this.#again = new Map();
      this.#seqs = new Map();
      this.isReady = false;
      return;
    }
    if (told.type === 'state.ready') {
      this.isReady = true;
      if (this.#again !== undefined) this.things = this.#again;
      this.#again = undefined;
      this.snapshots.push({ seq: seqOf(told.data.position), things: new Map(this.things) });
      return;
    }
    const item = told as Item;
    const seq = seqOf(item.id);
    if (seq < lastSeq) this.faults.push(`item ${item.id} after ${lastSeq}`);
    if (seqOf(delivery.id) > seq) this.faults.push(`resumed behind ${delivery.id}, which is beyond ${item.id}`);
    const before = this.#seqs.get(nameOf(item)) ?? 0;
    if (seq < before || (seq === before && afterReady)) this.faults.push(`${nameOf(item)} at ${seq} after ${before}`);
    this.#seqs.set(nameOf(item), seq);
    put(this.#again ?? this.things, item);
  }
}

export const seqOf = (position: string) => Number(position.split('-')[1]);

/** Another that serves the same states, and does not write them as long as `writer` does. */
export async function follow(writer: TestStates, contract: Contract, settings: Partial<StateSettings> = {}) {
  await using stack = new AsyncDisposableStack();
  const logger = createLogger({ logLevel: 'silent', logFormat: 'json' });
  const events = stack.use(await openEvents(contract, writer.pipeline.log));
  const failures = new Failures({ meter: noMeter, logger });
  const states = stack.use(
    await LiveState.open({ contract, pipeline: events, keepMs: 1e9, failures, logger, settings: { storeMs: 1, ...settings } }),
  );
  const resources = stack.move();
  return {
    states,
    watch: (request: Watcher['request'], options?: { readonly state?: ClientState }) =>
      new Watcher({ ...events, states }, connectionOf(contract), request, options),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Something that watches until it is stopped. */
export class Watcher implements AsyncDisposable {
  readonly sink: TestSink;
  readonly state: ClientState;
  readonly request: WatchRequest;
  /** `state.ready` in this watch. */
  readys = 0;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #taken = 0;
  #lastSeq = 0;

  constructor(
    pipeline: Served,
    connection: Connection,
    request: WatchRequest,
    { room, state = new ClientState() }: { room?: number; state?: ClientState } = {},
  ) {
    this.request = request;
    this.state = state;
    this.sink = new TestSink(room);
    const { lastEventId } = state;
    const events = watchState(pipeline, connection, { ...request, ...(lastEventId !== undefined && { lastEventId }) });
    this.#ended = events.attach(this.sink, this.#stop.signal);
  }

  /** Takes what has come. */
  read(): this {
    for (; this.#taken < this.sink.received.length; this.#taken += 1) {
      const delivery = this.sink.received[this.#taken] as Delivery;
      this.state.take(delivery, this.readys > 0, this.#lastSeq);
      if (delivery.type === 'state.ready') this.readys += 1;
      if (delivery.type === 'state.reset') this.#lastSeq = 0;
      if (delivery.family !== undefined) this.#lastSeq = Math.max(this.#lastSeq, seqOf(delivery.position));
    }
    return this;
  }

  /** Resolves once it was told that it is ready. */
  async ready(): Promise<this> {
    await this.sink.until(() => this.read().readys > 0);
    return this;
  }

  get things(): Things {
    return this.read().state.things;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    this.read();
  }
}

function modelOf(contract: Contract, events: readonly FoldedEvent[], selection: Selection): Things {
  const states = new Map<string, { readonly name: Omit<Item, 'id' | 'open' | 'state'>; state: object | undefined }>();
  for (const event of events) {
    for (const entity of contract.entities.values()) {
      if (!entity.types.includes(event.type) || !entity.families.includes(contract.channels.familyOf(event.channel) ?? '')) continue;
      const key = entity.keyOf(event);
      if (key === undefined) continue;
      const name = { channel: event.channel, entity: entity.name, key };
      const folded = entity.fold(states.get(nameOf(name))?.state, event);
      if (folded.problem === undefined) states.set(nameOf(name), { name, state: folded.state });
    }
  }
  const { channels, entities, keys, open, where = {} } = selection;
  const set = contract.channels.setOf(channels);
  const things: Things = new Map();
  for (const [id, { name, state }] of states) {
    if (state === undefined || !entities.includes(name.entity) || keys?.includes(name.key) === false) continue;
    const family = contract.channels.familyOf(name.channel) as string;
    if (!set.everything && !set.families.has(family) && !set.singles.has(name.channel)) continue;
    const isOpen = contract.entities.get(name.entity)?.isOpen(state) ?? false;
    if (open !== undefined && open !== isOpen) continue;
    const plain = JSON.parse(JSON.stringify(state));
    const isSelected = Object.entries(where).every(([path, values]) => [values].flat().includes(plain[path.slice('state.'.length)]));
    if (isSelected) things.set(id, { ...name, open: isOpen, state: plain });
  }
  return things;
}
