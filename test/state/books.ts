/** What a bank's gateways have been told, what states that makes, and what they say and tell of them. */
import { expect } from 'vitest';
import { WebSocket } from 'ws';
import type { Config } from '../../src/config.ts';
import { familyIn } from '../../src/contract/channels.ts';
import type { Contract } from '../../src/contract/contract.ts';
import type { FoldedEvent } from '../../src/contract/entities.ts';
import type { StatePage } from '../../src/contract/types.ts';
import { CourierError } from '../../src/errors.ts';
import type { GatewayOptions } from '../../src/gateway.ts';
import type { EventLog, NewEvent } from '../../src/log/log.ts';
import type { StateStore } from '../../src/log/state-store.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { BANKS } from './bank.ts';

/** How long something may take that is waited for, in ms. */
const PATIENCE_MS = 20_000;

export interface Item {
  readonly id: string;
  readonly channel: string;
  readonly entity: string;
  readonly key: string;
  readonly open: boolean;
  readonly state: object | null;
}

type Draft = Pick<NewEvent, 'type'> & { readonly channel?: string; readonly data: Readonly<Record<string, unknown>> };

export const opened = (account_id: string, owner = 'ada'): Draft => ({ type: 'account.opened', data: { account_id, owner } });
export const moved = (account_id: string, amount: number, owner = 'ada'): Draft => ({
  type: 'account.moved',
  data: { account_id, owner, amount },
});
export const closed = (account_id: string): Draft => ({ type: 'account.closed', data: { account_id } });
export const erased = (account_id: string): Draft => ({ type: 'account.erased', data: { account_id } });
export const onGlobal = (draft: Draft): Draft => ({ ...draft, channel: 'global' });

/** Drafts of every kind, a few at a time on each account: the same ones every time. */
export function mixed(count: number, { accounts = 40, from = 0 }: { readonly accounts?: number; readonly from?: number } = {}): Draft[] {
  return Array.from({ length: count }, (_, index) => {
    const n = from + index;
    const account = `a${(n * 7) % accounts}`;
    const owner = `o${n % 5}`;
    const draft = [opened(account, owner), moved(account, (n % 13) - 4, owner), moved(account, n % 11, owner), closed(account)][
      n % 4
    ] as Draft;
    const other = n % 29 === 28 ? erased(account) : draft;
    return n % 6 === 5 ? onGlobal(other) : other;
  });
}

export interface BankOptions extends Partial<GatewayOptions> {
  readonly env?: Readonly<Record<string, string>>;
  readonly config?: Partial<Config>;
}

/** A bank's gateway that stores states at every moment, unless `state` says otherwise. */
export function startBank({ env = {}, config = {}, ...options }: BankOptions = {}): Promise<TestGateway> {
  return startGateway({ ...env }, config, {
    contract: BANKS.first,
    ...options,
    state: { storeMs: 10, ...options.state },
  });
}

/** What was published, in order. */
export class Books {
  readonly events: (FoldedEvent & { readonly seq: number; readonly family: string })[] = [];

  /** Publishes where a gateway does, without asking who publishes. */
  async publish({ pipeline: { log } }: Pick<TestGateway, 'pipeline'>, drafts: readonly Draft[]): Promise<void> {
    await this.append(log, drafts);
  }

  async append(log: EventLog, drafts: readonly Draft[]): Promise<void> {
    for (let at = 0; at < drafts.length; at += 500) {
      const events = drafts.slice(at, at + 500).map(({ type, data, channel = `account.${data['account_id']}` }) => ({
        channel,
        type,
        metadata: { timestamp: '2026-01-02T03:04:05.678Z', source: 'teller' },
        data,
      }));
      const stored = await log.append(
        events.map((event): NewEvent => {
          const { channel, type } = event;
          return { channel, type, family: familyIn(channel) as string, version: 1, body: JSON.stringify(event) };
        }),
      );
      for (const [index, { event }] of stored.entries()) {
        const { seq, family } = event;
        this.events.push({ id: log.positions.at(seq), seq, family, ...(events[index] as (typeof events)[number]) });
      }
    }
  }

  /** Takes down all that a log has. */
  async recall(log: EventLog): Promise<void> {
    for (let afterSeq = 0; ; ) {
      const { events, endSeq, head } = await log.read({ afterSeq, channels: 'all', limit: 1000 }, new AbortController().signal);
      for (const { seq, family, body } of events) this.events.push({ id: log.positions.at(seq), seq, family, ...JSON.parse(body) });
      if (endSeq >= head) return;
      afterSeq = endSeq;
    }
  }

  /** The states that the events make, after a number and on top of others. */
  states({ entities }: Contract = BANKS.first, { after = 0, on = [] }: { after?: number; on?: readonly Item[] } = {}): readonly Item[] {
    const items = new Map(on.map((item) => [nameOf(item), item]));
    for (const event of this.events) {
      if (event.seq <= after) continue;
      for (const entity of entities.values()) {
        if (!entity.types.includes(event.type) || !entity.families.includes(event.family)) continue;
        const key = entity.keyOf(event);
        if (key === undefined) continue;
        const name = { channel: event.channel, entity: entity.name, key };
        const { state: before } = items.get(nameOf(name)) ?? {};
        const { state } = entity.fold(before ?? undefined, event);
        if (state === before) continue;
        if (state === undefined) items.delete(nameOf(name));
        else items.set(nameOf(name), { id: event.id, ...name, open: entity.isOpen(state), state });
      }
    }
    return inOrder([...items.values()]);
  }
}

const nameOf = ({ channel, entity, key }: Pick<Item, 'channel' | 'entity' | 'key'>) => `${entity} ${channel} ${key}`;
export const inOrder = (items: readonly Item[]) => [...items].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));

export const accountsOf = (items: readonly Item[]) => items.filter(({ entity }) => entity === 'account');

export interface Given {
  readonly items: readonly Item[];
  readonly position: string;
  readonly resets: readonly string[];
}

/** The whole state, page by page, or what has changed after a position. @throws the error that is answered. */
export async function stateOf(
  { url, token }: Pick<TestGateway, 'url' | 'token'>,
  { limit = 1000, after, query = '' }: { readonly limit?: number; readonly after?: string; readonly query?: string } = {},
): Promise<Given> {
  const headers = { authorization: `Bearer ${await token('root', 'admin')}` };
  const items = new Map<string, Item>();
  const resets: string[] = [];
  for (let next = after, pages = 0; ; pages += 1) {
    if (pages > 10_000) throw new Error('the pages have no end');
    const from = next === undefined ? '' : `&after=${next}`;
    const answer = await fetch(`${url}/state/**?limit=${limit}${from}${query}`, { headers });
    const page = (await answer.json()) as StatePage<Item>;
    if (!answer.ok)
      throw Object.assign(new Error(JSON.stringify(page)), { status: answer.status, retryAfter: answer.headers.get('retry-after') });
    if (page.reset !== null) {
      resets.push(page.reset.reason);
      items.clear();
    }
    for (const item of page.items) {
      if (item.state === null && (after === undefined || resets.length > 0)) items.delete(nameOf(item));
      else items.set(nameOf(item), item);
    }
    if (!page.has_more) return { items: inOrder([...items.values()]), position: page.position, resets };
    next = page.next ?? undefined;
  }
}

/** What a watch was told, as a client puts it together. */
export interface View extends AsyncDisposable {
  /** What it has now. */
  readonly items: readonly Item[];
  /** All that was told, in order. */
  readonly told: readonly (Item & { readonly type?: string; readonly data?: Readonly<Record<string, unknown>> })[];
  /** Why it had to begin anew, each time. */
  readonly resets: readonly unknown[];
  /** Snapshots that were completed. */
  readonly snapshots: number;
  /** What it goes on behind. */
  readonly position: string;
  /** Resolves when it has these items. */
  has(items: readonly Item[]): Promise<void>;
}

export async function watch(
  { url, token }: Pick<TestGateway, 'url' | 'token'>,
  { after, items: had = [], query = '' }: { readonly after?: string; readonly items?: readonly Item[]; readonly query?: string } = {},
): Promise<View> {
  const from = after === undefined ? '' : `&last_event_id=${after}`;
  const ws = new WebSocket(`${url.replace('http', 'ws')}/ws/**?state=${query}&token=${await token('root', 'admin')}${from}`);
  const items = new Map(had.map((item) => [nameOf(item), item]));
  const told: View['told'][number][] = [];
  const resets: unknown[] = [];
  let given: Set<string> | undefined;
  let position = after ?? '';
  let snapshots = 0;
  ws.on('message', (data) => {
    const { cursor, ...message } = JSON.parse(String(data)) as View['told'][number] & { readonly cursor?: string };
    told.push(message);
    if (message.type === 'state.reset') {
      resets.push(message.data?.['reason']);
      given = new Set();
      return;
    }
    if (message.type === 'state.ready') {
      snapshots += 1;
      position = String(message.data?.['position']);
      if (given !== undefined) for (const name of items.keys()) if (!given.has(name)) items.delete(name);
      given = undefined;
      return;
    }
    if (snapshots > 0 && given === undefined) position = cursor ?? message.id;
    given?.add(nameOf(message));
    if (message.state === null) items.delete(nameOf(message));
    else items.set(nameOf(message), message);
  });
  const ended = new Promise<void>((resolve) => ws.on('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    ws.on('open', () => resolve());
    ws.on('error', reject);
  });
  const view: View = {
    get items() {
      return inOrder([...items.values()]);
    },
    told,
    resets,
    get snapshots() {
      return snapshots;
    },
    get position() {
      return position;
    },
    has: (expected) =>
      soon(() => ({ items: view.items, isComplete: snapshots > 0 && given === undefined }), { items: expected, isComplete: true }),
    [Symbol.asyncDispose]: async () => {
      ws.terminate();
      await ended;
    },
  };
  return view;
}

/** Resolves when something has come to be. */
export async function soon<T>(look: () => T | Promise<T>, expected: unknown, timeout = PATIENCE_MS): Promise<void> {
  await expect.poll(look, { timeout, interval: 20 }).toEqual(expected);
}

/** Gives a gateway's states a store some of whose methods are the test's. Returns what takes them back. */
export function meddle(
  { pipeline: { log } }: Pick<TestGateway, 'pipeline'>,
  methods: (store: StateStore) => Partial<StateStore>,
): () => void {
  const { states } = log;
  const own = Object.getOwnPropertyDescriptor(log, 'states');
  const others: Partial<StateStore> = methods(states);
  const value = new Proxy(states, {
    get: (target, name: keyof StateStore) => others[name] ?? target[name].bind(target),
  });
  Object.defineProperty(log, 'states', { value, configurable: true, writable: true });
  return () => {
    if (own === undefined) Reflect.deleteProperty(log, 'states');
    else Object.defineProperty(log, 'states', own);
  };
}

export const away = () => Promise.reject(new CourierError('SERVICE_UNAVAILABLE', 'it is away', { retryAfterMs: 10 }));

/** Ends a gateway as if it had been killed: nothing more is stored. */
export async function kill(gateway: TestGateway): Promise<void> {
  meddle(gateway, () => ({ write: away, release: away }));
  await gateway[Symbol.asyncDispose]();
}

/** Removes the events that may be removed. */
export async function trimOnce({ pipeline: { log } }: Pick<TestGateway, 'pipeline'>): Promise<void> {
  // They are of a time that is still to come.
  while (await log.trim(-2 * 24 * 60 * 60 * 1000, 500));
}

/** Removes all events there are, once they are folded. */
export async function trim(gateway: Pick<TestGateway, 'pipeline'>): Promise<void> {
  const { log } = gateway.pipeline;
  const { head } = await log.bounds();
  await soon(async () => {
    await trimOnce(gateway);
    return (await log.bounds()).first;
  }, head + 1);
}
