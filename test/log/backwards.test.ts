/** Reading a log backwards gives what reading it forwards gives, in reverse, whatever the log and the page. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EVERYTHING, type Selector, selectorOf } from '../../src/contract/channels.ts';
import { readBackwards } from '../../src/log/backwards.ts';
import { type EventLog, PAGE_BYTES, type StoredEvent } from '../../src/log/log.ts';
import { openMemoryLog } from '../../src/log/memory.ts';
import { draftOn } from '../contracts/event-log.ts';

const never = new AbortController().signal;
const CHANNELS = ['global', 'user.u1', 'strategy.s1', 'strategy.s2', 'backtest.b1'];

async function forwards(log: EventLog, selector: Selector, types?: ReadonlySet<string>): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (let after = 0; ; ) {
    const page = await log.read({ after, selector, types, limit: 1000 }, never);
    events.push(...page.events);
    if (page.through >= page.head) return events;
    after = page.through;
  }
}

/** All pages, each of which is no longer than asked for. */
async function backwards(log: EventLog, selector: Selector, limit: number, types?: ReadonlySet<string>): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (let before = (await log.bounds()).head + 1; ; ) {
    const page = await readBackwards(log, { before, selector, types, limit }, never);
    expect(page.events.length).toBeLessThanOrEqual(limit);
    events.push(...page.events);
    if (!page.hasMore) return events;
    expect(page.down).toBeLessThan(before);
    before = page.down;
  }
}

/** Counts the reads, and the rows that they could look at. */
function counted(log: EventLog): { readonly log: EventLog; readonly reads: () => number } {
  let reads = 0;
  const read: EventLog['read'] = (query, signal) => {
    reads += 1;
    return log.read(query, signal);
  };
  return {
    log: new Proxy(log, {
      get: (target, name) => {
        if (name === 'read') return read;
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    }),
    reads: () => reads,
  };
}

describe('reading backwards', () => {
  test('gives the reverse of reading forwards, page by page, for any selector, types and page size', async () => {
    const arbitrary = fc.record({
      drafts: fc.array(fc.record({ channel: fc.constantFrom(...CHANNELS), type: fc.constantFrom('a', 'b') }), { maxLength: 300 }),
      trimmed: fc.nat(50),
      patterns: fc.subarray([...CHANNELS, 'strategy.*', '**'], { minLength: 1 }),
      types: fc.option(fc.constantFrom(new Set(['a']), new Set(['b'])), { nil: undefined }),
      limit: fc.integer({ min: 1, max: 40 }),
    });
    await fc.assert(
      fc.asyncProperty(arbitrary, async ({ drafts, trimmed, patterns, types, limit }) => {
        await using log = openMemoryLog({ now: () => 0 });
        for (const { channel, type } of drafts) await log.append([draftOn(channel, { type })]);
        await log.trim(1, trimmed);
        const selector = selectorOf(patterns);
        expect(await backwards(log, selector, limit, types)).toEqual((await forwards(log, selector, types)).reverse());
      }),
      { numRuns: 200 },
    );
  });

  test('large events, of which a read gives a few only, are all there', async () => {
    await using log = openMemoryLog();
    await log.append(Array.from({ length: 60 }, () => draftOn('global', { size: PAGE_BYTES / 8 })));
    const pages = await backwards(log, EVERYTHING, 25);
    expect(pages.map(({ seq }) => seq)).toEqual(Array.from({ length: 60 }, (_, index) => 60 - index));
  });

  test('a long stretch without a match costs a few reads, and a dense one before it no more than what comes out', async () => {
    await using memory = openMemoryLog();
    const many = async (channel: string, count: number) => memory.append(Array.from({ length: count }, () => draftOn(channel)));
    await many('user.u1', 50_000);
    await many('user.u2', 50_000);
    const { log, reads } = counted(memory);
    const page = await readBackwards(log, { before: 100_001, selector: selectorOf(['user.u1']), limit: 100 }, never);
    expect(page.events.map(({ seq }) => seq)).toEqual(Array.from({ length: 100 }, (_, index) => 50_000 - index));
    expect(page).toMatchObject({ down: 49_901, hasMore: true });
    expect(reads()).toBeLessThan(30);
  });

  test('a page that finds nothing in so many reads says how far it came', async () => {
    await using log = openMemoryLog();
    for (let block = 0; block < 10; block += 1) await log.append(Array.from({ length: 10_000 }, () => draftOn('user.u1')));
    const query = { before: 100_001, selector: EVERYTHING, types: new Set(['absent']), limit: 100 };
    const page = await readBackwards(log, query, never);
    expect(page.events).toEqual([]);
    expect(page.hasMore).toBe(true);
    expect(page.down).toBeLessThan(100_001);
  });
});
