/** States under test: how they are made, stored and read. */
import { expect } from 'vitest';
import { familyIn } from '../../../src/contract/channels.ts';
import type { EventLog } from '../../../src/log/log.ts';
import { MAX_ROWS_OF_EVENT, type StateName, type StateQuery, type StateRow, type StateStore } from '../../../src/log/state-store.ts';
import { EVERYTHING } from '../../helpers/trade.ts';
import type { LogFactory } from '../event-log/logs.ts';

/** Makes logs for one test, which have states. */
export interface StateLogs extends LogFactory {
  /** Lets so much time pass that builds count as unused which nobody registers or claims again. */
  abandon(): Promise<void>;
}

export interface StateSuite {
  readonly durable: boolean;
  readonly factory: () => StateLogs;
  /** Runs of each property; fewer where asking is slow. */
  readonly runs: number;
}

export const ALL = ['open', 'closed', 'gone'] as const;

/** The numbers of the builds of entities, in their order. */
export async function begun<const E extends readonly string[]>(states: StateStore, ...entities: E): Promise<{ [I in keyof E]: number }> {
  const builds = await states.register(entities.map((entity) => ({ entity, version: 1 })));
  return entities.map((entity) => builds.find((build) => build.entity === entity)?.number) as { [I in keyof E]: number };
}

export function stateRow(build: number, row: Partial<StateRow> & { readonly seq: number }): StateRow {
  const { key = 'k', channel = 'user.u1', sinceSeq = row.seq, condition = 'open', seq } = row;
  const body = row.body ?? JSON.stringify({ channel, entity: 'e', key, open: condition === 'open', state: { seq } });
  return { build, key, channel, family: familyIn(channel) as string, seq, sinceSeq, condition, body };
}

/** Stores rows up to the last of them, which becomes the checkpoint unless another is given. */
export async function store(
  states: StateStore,
  rows: readonly StateRow[],
  options: { readonly checkpoint?: number | undefined; readonly nowMs?: number } = {},
): Promise<void> {
  const writtenSeq = Math.max(0, ...rows.map(({ seq }) => seq));
  const { checkpoint = writtenSeq, nowMs = 0 } = options;
  await states.write({ rows, builds: [...new Set(rows.map(({ build }) => build))], writtenSeq, checkpoint, nowMs });
}

export const named = ({ build, channel, key }: StateRow) => JSON.stringify([build, channel, key]);
/** In the order of their last changes; those of one event in any. */
export const inOrder = (rows: readonly StateRow[]) =>
  [...rows].sort((a, b) => a.seq - b.seq || (named(a) < named(b) ? -1 : named(a) > named(b) ? 1 : 0));

/** Every row, a page at a time: each goes on where the one before ended. */
export async function readPages(
  states: StateStore,
  builds: readonly number[],
  { afterSeq = 0, limit = 1000, ...query }: Partial<StateQuery> = {},
): Promise<{ readonly pages: StateRow[][]; readonly endSeq: number; readonly writtenSeq: number }> {
  const pages: StateRow[][] = [];
  for (let from = afterSeq; ; ) {
    const page = await states.read({ builds, channels: EVERYTHING, conditions: ALL, limit, ...query, afterSeq: from });
    const seqs = page.rows.map(({ seq }) => seq);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    for (const seq of seqs) expect(seq > from && seq <= page.endSeq).toBe(true);
    expect(seqs.length).toBeLessThan(limit + MAX_ROWS_OF_EVENT);
    pages.push([...page.rows]);
    if (!page.leadsOn) return { pages, endSeq: page.endSeq, writtenSeq: page.writtenSeq };
    expect(page.endSeq).toBeGreaterThan(from);
    from = page.endSeq;
  }
}

export async function readAllStates(...parameters: Parameters<typeof readPages>): Promise<StateRow[]> {
  return inOrder((await readPages(...parameters)).pages.flat());
}

/** The rows with these names, in their order. */
export async function findRows(states: StateStore, names: readonly StateName[]): Promise<(StateRow | undefined)[]> {
  return (await states.find(names)).map(({ row }) => row);
}

export async function forgetAll(states: StateStore, step: Parameters<StateStore['forget']>[0]): Promise<void> {
  while (await states.forget(step));
}

export async function trimAll(log: EventLog, keepMs: number): Promise<void> {
  while (await log.trim(keepMs, 100));
}
