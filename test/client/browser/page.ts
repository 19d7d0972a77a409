/**
 * The page of the browser tests. It shows what hooks give, one view for each call of a hook, all in StrictMode; a test
 * drives it through `globalThis.driver` and reads what it shows.
 */
import { createElement, type ReactElement, StrictMode, useEffect, useRef, version } from 'react';
import { flushSync } from 'react-dom';
import { createRoot, hydrateRoot, type Root } from 'react-dom/client';
import { renderToString } from 'react-dom/server.browser';
import { CourierClient, type CourierEvent, type Gap, type Subscription } from '../../../client/src/index.ts';
import {
  type ChannelState,
  CourierProvider,
  courierHooks,
  type EntitiesView,
  type EntityView,
  familyHook,
  useBacktest,
  useBacktestEvents,
  useChannel,
  useCourierConnection,
  useEntities,
  useEntity,
  useForgeJobEvents,
  useJob,
  useLatest,
  useOrders,
  usePositions,
  useStrategy,
  useStrategyEvents,
  useUserEvents,
} from '../../../client/src/react.ts';
import type { contract as harbour } from '../../harbour/contract.ts';

const { useChannel: useHarbourChannel, useLatest: useHarbourLatest } = courierHooks<typeof harbour>();
const useVesselEvents = familyHook<typeof harbour, 'vessel'>('vessel');
const useBlockEvents = familyHook<typeof harbour, 'yard.block'>('yard.block');
const OF_HARBOUR = { useHarbourChannel, useHarbourLatest, useVesselEvents, useBlockEvents };
const OWN = { useBacktestEvents, useChannel, useCourierConnection, useForgeJobEvents, useLatest, useStrategyEvents, useUserEvents };
/** They are given no functions. */
const OF_STATES = { useBacktest, useEntities, useEntity, useJob, useOrders, usePositions, useStrategy };
const HOOKS = { ...OWN, ...OF_HARBOUR, ...OF_STATES };

/** A component that calls one hook. */
export interface View {
  readonly name: string;
  readonly hook: keyof typeof HOOKS;
  readonly args?: readonly unknown[];
  /** Beside the functions, which every view gives. */
  readonly options?: object;
  /**
   * What the functions of this render note with what they are called with; with `throws` they fail instead, and with `publishes` they
   * publish an event at once, and another one after an await.
   */
  readonly label?: string;
}

/** What became of a view, beside what it shows. */
export interface Record {
  commits: number;
  /** How often the hook gave another object than at the commit before. */
  changes: number;
  /** How often it gave another array of events. */
  arrays: number;
  /** How many events there were when it was first live. */
  eventsWhenLive?: number | undefined;
  /** How many things there were when it was first ready. */
  itemsWhenReady?: number | undefined;
  /** How many things were the same objects as at the commit before. */
  keptItems: number;
  /** Of `useLatest`: the ids of the events that it gave, one after another. */
  latest: string[];
  /** Of `onEvent`: the label of the function and the event's id. */
  heard: [label: string, id: string][];
  /** Of `onGap`. */
  gaps: [label: string, gap: Gap][];
}

/** Of the client, by what was called. */
export interface Bookkeeping {
  /** Subscriptions that were begun, and those that have not ended. */
  subscribed: number;
  open: number;
  /** Those who watch the connection. */
  watchers: number;
}

type Things = Partial<EntitiesView<'order'> & EntityView<'order'>>;
type State = Partial<ChannelState<CourierEvent>> | Things | CourierEvent | undefined;

const { document } = globalThis as unknown as { readonly document: { getElementById(id: string): Element & { innerHTML: string } } };
const container = document.getElementById('root');
const records: { [view: string]: Record } = {};
const states: { [view: string]: State } = {};
const bookkeeping: Bookkeeping = { subscribed: 0, open: 0, watchers: 0 };
let client: CourierClient;
let root: Root | undefined;

function Probe({ name, hook, args = [], options, label = '' }: View): ReactElement {
  records[name] ??= { commits: 0, changes: 0, arrays: 0, keptItems: 0, latest: [], heard: [], gaps: [] };
  const record = records[name];
  const call = HOOKS[hook] as unknown as (...args: unknown[]) => State;
  const functions = {
    onEvent: (event: CourierEvent) => {
      if (label === 'throws') throw new Error('onEvent fails');
      record.heard.push([label, event.id]);
      if (label === 'publishes') void publishTwice();
    },
    onGap: (gap: Gap) => record.gaps.push([label, gap]),
  };
  const state = call(...args, hook in OF_STATES ? options : { ...options, ...functions });
  const previous = useRef<State>(undefined);
  useEffect(() => {
    record.commits += 1;
    if (state !== previous.current) record.changes += 1;
    if (eventsOf(state) !== eventsOf(previous.current)) record.arrays += 1;
    if (state !== undefined && 'status' in state && state.status === 'live') record.eventsWhenLive ??= state.events?.length;
    if (state !== undefined && 'isReady' in state && state.isReady) record.itemsWhenReady ??= itemsOf(state).length;
    const before = new Set<object>(itemsOf(previous.current));
    record.keptItems = itemsOf(state).filter((item) => before.has(item)).length;
    if (state !== undefined && 'id' in state && state.id !== record.latest.at(-1)) record.latest.push(state.id);
    previous.current = state;
    states[name] = state;
  });
  return createElement('pre', { 'data-view': name }, JSON.stringify(state));
}

async function publishTwice(): Promise<void> {
  await client.publish('forge.job.j', 'forge.job.started', { job_id: 'j', kind: 'at once' });
  await client.publish('forge.job.j', 'forge.job.started', { job_id: 'j', kind: 'after an await' });
}

function eventsOf(state: State): readonly CourierEvent[] | undefined {
  return state !== undefined && 'events' in state ? state.events : undefined;
}

function itemsOf(state: State): readonly object[] {
  return (state !== undefined && 'items' in state && state.items) || [];
}

function tree(views: readonly View[]): ReactElement {
  const probes = views.map((view) => createElement(Probe, { key: view.name, ...view }));
  return createElement(StrictMode, null, createElement(CourierProvider, { client }, probes));
}

/** Counts the subscriptions and the watchers of the client. */
function counted(made: CourierClient): CourierClient {
  const subscribe = made.subscribe as unknown as (...args: unknown[]) => Subscription;
  const watch = made.connection.subscribe;
  Object.assign(made, {
    subscribe: (...args: unknown[]) => {
      const subscription = subscribe(...args);
      bookkeeping.subscribed += 1;
      bookkeeping.open += 1;
      const ended = () => {
        bookkeeping.open -= 1;
      };
      subscription.ended.then(ended, ended);
      return subscription;
    },
  });
  Object.assign(made.connection, {
    subscribe: (listener: Parameters<typeof watch>[0]) => {
      const stop = watch(listener);
      bookkeeping.watchers += 1;
      return () => {
        bookkeeping.watchers -= 1;
        stop();
      };
    },
  });
  return made;
}

/** Lets messages and timers have their turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

const driver = {
  /** The version of React. */
  version,
  start(options: { url: string; token: string; giveUpAfter?: number | undefined }): void {
    client = counted(new CourierClient({ ...options, retry: { minDelayMs: 20, maxDelayMs: 200, busyDelayMs: 20 } }));
  },
  render(views: readonly View[]): void {
    const shown = root ?? createRoot(container);
    root = shown;
    flushSync(() => shown.render(tree(views)));
  },
  /** Renders on a server, as it were: what it would send. */
  renderToString(views: readonly View[]): string {
    return renderToString(tree(views));
  },
  /** Takes over what a server sent. */
  hydrate(html: string, views: readonly View[]): void {
    container.innerHTML = html;
    root = hydrateRoot(container, tree(views), { onRecoverableError: (error) => console.error(error) });
  },
  /** Mounts and unmounts a view so many times, each time for one turn of the event loop. */
  async remount(view: View, times: number): Promise<void> {
    const shown = createRoot(container);
    for (let count = 0; count < times; count += 1) {
      flushSync(() => shown.render(tree([view])));
      await turn();
      flushSync(() => shown.render(null));
      await turn();
    }
    shown.unmount();
  },
  record: (view: string): Record | undefined => records[view],
  bookkeeping: (): Bookkeeping => bookkeeping,
  clear(view: string): void {
    const { clear } = states[view] as ChannelState<CourierEvent>;
    clear();
  },
  setToken: (token: string): Promise<void> => client.setToken(token),
  close: (): Promise<void> => client.close(),
};

export type Driver = typeof driver;

Object.assign(globalThis, { driver });
