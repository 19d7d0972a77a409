/**
 * Everything at once, for a while: publishers, subscribers that stay, others that come and go over every transport, readers that
 * stop reading, and instances that are killed and ended. `npm run test:faults -- --soak` takes twenty minutes of it.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { EventSource } from 'eventsource';
import { expect, test } from 'vitest';
import { processToken } from '../helpers/process.ts';
import { FOUNDATIONS, type Instances } from './instances.ts';
import { EXACT, Ledger, report, seqOf } from './ledger.ts';
import { startLoad, storedEvents, watch } from './load.ts';

const MINUTE_MS = 60_000;
/** Of all foundations together. */
const SOAK_MS = Number(process.env['COURIER_SOAK_MINUTES'] ?? 0.2) * MINUTE_MS;
const RESTARTS_EVERY_MS = Math.min(30_000, SOAK_MS / 8);
const COMERS = 12;
const MAX_STAY_MS = 3000;

type Heard = { readonly id: string; readonly type: string };
/** Comes, hears everything after a position, and goes when the signal aborts or it is sent away. */
type Visit = (url: string, token: string, after: string, hear: (event: Heard) => void, gone: AbortSignal) => Promise<void>;

const query = (token: string, after: string) =>
  new URLSearchParams({ token, ...(after === '' ? { from: 'earliest' } : { last_event_id: after }) });

const VISITS: readonly Visit[] = [
  (url, token, after, hear, gone) =>
    new Promise((resolve) => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/**?${query(token, after)}`);
      socket.onmessage = ({ data }) => hear(JSON.parse(String(data)));
      socket.onclose = () => resolve();
      gone.addEventListener('abort', () => socket.close());
    }),
  (url, token, after, hear, gone) =>
    new Promise((resolve) => {
      const source = new EventSource(`${url}/sse/**?${query(token, after)}`);
      const end = () => {
        source.close();
        resolve();
      };
      source.onmessage = ({ data }) => hear(JSON.parse(data));
      source.onerror = end;
      gone.addEventListener('abort', end);
    }),
  async (url, token, after, hear, gone) => {
    const start = after === '' ? { from: 'earliest' as const } : { lastEventId: after };
    await using _watching = watch(url, token, { ...start, onItem: hear });
    if (!gone.aborted) await new Promise((resolve) => gone.addEventListener('abort', resolve));
  },
];

/** Comes and goes until the end. Resolves to how often it came, and how many events it was given; whatever is not the next one is counted. */
async function comeAndGo(urls: readonly string[], token: string, until: AbortSignal) {
  const figures = { visits: 0, heard: 0, wrong: 0 };
  let after = '';
  const hear = ({ id, type }: Heard) => {
    if (type === 'courier.gap') figures.wrong += 1;
    if (!type.startsWith('courier.')) {
      figures.heard += 1;
      if (seqOf({ id }) !== (after === '' ? 0 : seqOf({ id: after })) + 1) figures.wrong += 1;
    }
    after = id;
  };
  while (!until.aborted) {
    const visit = VISITS[figures.visits % VISITS.length] as Visit;
    const url = urls[Math.floor(Math.random() * urls.length)] as string;
    const stay = AbortSignal.any([until, AbortSignal.timeout(Math.ceil(Math.random() * MAX_STAY_MS))]);
    figures.visits += 1;
    let isGone = false;
    await visit(url, token, after, (event) => !isGone && hear(event), stay);
    isGone = true;
    if (!stay.aborted) await wait(50);
  }
  return figures;
}

/** Kills and ends instances in turn. Resolves to how long it took until something was published again, each time. */
async function restartAll(instances: Instances, more: () => Promise<void>, until: AbortSignal): Promise<number[]> {
  const took: number[] = [];
  for (let n = 0; !until.aborted; n += 1) {
    await wait(RESTARTS_EVERY_MS, undefined, { signal: until }).catch(() => undefined);
    if (until.aborted) break;
    const began = performance.now();
    await instances.restart(n % instances.urls.length, n % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
    await more();
    took.push(performance.now() - began);
  }
  return took;
}

for (const { name, start } of FOUNDATIONS) {
  test(`${name}: everything at once, for a while`, { timeout: SOAK_MS + 3 * MINUTE_MS }, async ({ task }) => {
    await using instances = await start();
    const { urls } = instances;
    const token = await processToken('forge', 'service', 7200);
    const ledger = new Ledger();
    await using staying = watch(urls[0] as string, token);
    await using load = startLoad({ url: urls.at(-1) as string, token, ledger, inFlight: 4, pauseMs: 2 });
    const over = new AbortController();
    const coming = Array.from({ length: COMERS }, () => comeAndGo(urls, token, over.signal));
    const restarting = restartAll(instances, () => load.more(1), over.signal);
    let most = 0;
    for (const began = performance.now(); performance.now() - began < SOAK_MS / FOUNDATIONS.length; await wait(500)) {
      most = Math.max(most, ...urls.map((_, index) => instances.process(index).peakRssBytes()));
    }
    over.abort();
    const [comers, took] = await Promise.all([Promise.all(coming), restarting]);
    await load.stop();
    const stored = await storedEvents(urls[0] as string, token);
    await staying.reaches(stored.at(-1)?.id ?? '');
    const figures = ledger.compare(stored, staying.items);
    const sum = (of: 'visits' | 'heard' | 'wrong') => comers.reduce((total, comer) => total + comer[of], 0);
    report(task, 30, `${name}: everything at once, for ${SOAK_MS / FOUNDATIONS.length / MINUTE_MS} minutes`, {
      ...figures,
      'peak memory': `${Math.round(most / 1e6)} MB`,
      restarts: took.length,
      'ms until published again, at most': Math.round(Math.max(...took)),
      visits: sum('visits'),
      deliveries: sum('heard') + figures.received,
      'wrong deliveries': sum('wrong'),
    });
    expect(took.length).toBeGreaterThan(0);
    expect(sum('visits')).toBeGreaterThan(COMERS);
    expect(sum('heard')).toBeGreaterThan(0);
    expect(sum('wrong')).toBe(0);
    expect(figures).toMatchObject(EXACT);
    expect(stored.map(seqOf)).toEqual(Array.from({ length: stored.length }, (_, index) => index + 1));
    expect(staying.notices).not.toContain('courier.gap');
  });
}
