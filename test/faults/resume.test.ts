/**
 * Resuming from every kind of position, over every surface, for one channel, many, and a pattern: just the events after
 * it, or a notice that says why not, or a refusal.
 */

import { createTRPCClient, httpBatchLink, httpSubscriptionLink, splitLink, type TRPCClient } from '@trpc/client';
import { EventSource } from 'eventsource';
import superjson from 'superjson';
import { expect, test } from 'vitest';
import { openSqliteLog } from '../../src/log/sqlite.ts';
import type { AppRouter } from '../../src/router/index.ts';
import { collect } from '../helpers/collect.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import type { Received } from '../helpers/lumiere.ts';
import { type GatewayProcess, processToken, startProcess } from '../helpers/process.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { report, seqOf } from './ledger.ts';
import { connect } from './load.ts';

const EVENTS = 30;
const TRIMMED = 10;
const CHANNELS = ['forge.job.a', 'forge.job.b', 'global'];

/** What a subscriber saw until it was live, or the error code it was refused with. */
type Outcome = { readonly gap: object | null; readonly seqs: number[] } | { readonly refused: string };
type Surface = (url: string, token: string, channels: readonly string[], from: string) => Promise<Outcome>;
type Item = { id: string; data: Received<'**'> };

function outcomeOf(events: readonly Received<'**'>[]): Outcome {
  const [first] = events;
  const gap = first?.type === 'courier.gap' ? first : undefined;
  const seqs = events.slice(gap === undefined ? 0 : 1, -1).map(seqOf);
  // A notice stands at the position that it speaks of, so that a client resumes from there.
  if (gap !== undefined) expect(gap.id).toBe(gap.data.resumed_from);
  expect(events.at(-1)).toMatchObject({ type: 'courier.live', data: { replayed: seqs.length } });
  return { gap: gap?.data ?? null, seqs };
}

async function subscribed(trpc: TRPCClient<AppRouter>, channels: readonly string[], lastEventId: string): Promise<Outcome> {
  using received = collect<Item>((observer) => trpc.events.subscribe.subscribe({ channels: [...channels], lastEventId }, observer));
  try {
    await received.until((items) => items.some(({ data }) => data.type === 'courier.live'));
  } catch (error) {
    return { refused: (error as { data?: { code?: string } }).data?.code ?? String(error) };
  }
  for (const { id, data } of received.items) expect(id).toBe(data.id);
  return outcomeOf(received.items.map(({ data }) => data));
}

function overHttp(url: string, token: string): TRPCClient<AppRouter> {
  const authorization = `Bearer ${token}`;
  const link = { url: `${url}/trpc`, transformer: superjson };
  return createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: ({ type }) => type === 'subscription',
        true: httpSubscriptionLink({ ...link, EventSource, connectionParams: { token } }),
        false: httpBatchLink({ ...link, headers: { authorization } }),
      }),
    ],
  });
}

const SURFACES: Record<string, Surface> = {
  'tRPC over WebSocket': async (url, token, channels, from) => {
    await using client = connect(url, token);
    return await subscribed(client.trpc, channels, from);
  },
  'server-sent events': (url, token, channels, from) => subscribed(overHttp(url, token), channels, from),
  'events.history': async (url, token, channels, from) => {
    try {
      const page = await overHttp(url, token).events.history.query({ channels: [...channels], after: from });
      return { gap: page.gap, seqs: page.events.map(seqOf) };
    } catch (error) {
      return { refused: (error as { data: { code: string } }).data.code };
    }
  },
};

/** The plain surfaces take one channel or pattern. */
const PLAIN: Record<string, Surface> = {
  'plain WebSocket': async (url, token, [channel], from) => {
    await using socket = await openSocket(`${url.replace('http', 'ws')}/ws/${channel}?token=${token}&last_event_id=${from}`);
    for (let count = 1; ; count += 1) {
      const refused = await socket.count(count).then(
        () => undefined,
        () => socket.closed,
      );
      if (refused !== undefined) return { refused: refused.code === 4400 ? 'BAD_REQUEST' : String(refused.code) };
      const events = socket.messages.map((message) => JSON.parse(message) as Received<'**'>);
      const live = events.findIndex(({ type }) => type === 'courier.live');
      if (live >= 0) return outcomeOf(events.slice(0, live + 1));
    }
  },
  'plain HTTP': async (url, token, [channel], from) => {
    const response = await fetch(`${url}/events/${channel}?after=${from}`, { headers: { authorization: `Bearer ${token}` } });
    const answer = (await response.json()) as { code?: string; gap: object; events: { id: string }[] };
    if (!response.ok) return { refused: answer.code ?? String(response.status) };
    return { gap: answer.gap, seqs: answer.events.map(seqOf) };
  },
};

/** A gateway on a log of which the first events have been trimmed. Resolves with the positions of all that ever were. */
async function startTrimmed(path: string): Promise<{ gateway: GatewayProcess; ids: string[] }> {
  const env = { COURIER_LOG: `sqlite:${path}` };
  const token = await processToken('forge', 'service');
  const ids: string[] = [];
  {
    await using gateway = await startProcess(env);
    await using client = connect(gateway.url, token);
    for (let n = 0; n < EVENTS; n += 1) {
      const channel = CHANNELS[n % CHANNELS.length] as 'global';
      const draft = { type: 'forge.job.started', channel, data: { job_id: channel.split('.')[2] ?? 'j', kind: 'k' } } as const;
      ids.push((await client.trpc.forge.publish.mutate(draft)).id);
    }
    await gateway.end('SIGTERM');
  }
  await using log = await openSqliteLog({ path });
  expect(await log.trim(-1000, TRIMMED)).toBe(true);
  await log[Symbol.asyncDispose]();
  return { gateway: await startProcess(env), ids };
}

test('from every kind of position, over every surface, for every kind of channel list', { timeout: 60_000 }, async ({ task }) => {
  using folder = temporaryFolder();
  const { gateway: process, ids } = await startTrimmed(folder.file('courier.db'));
  await using gateway = process;
  const token = await processToken('reader', 'service');
  const head = ids.at(-1) ?? '';
  const lost = head.replace(/\d+$/, String(EVENTS + 5));
  const oldest = ids[TRIMMED - 1] ?? '';
  const positions: Record<string, { from: string; after: number; gap?: { reason: string; resumed_from: string } }> = {
    'the head': { from: head, after: EVENTS },
    'one before the head': { from: ids.at(-2) ?? '', after: EVENTS - 1 },
    'the first retained': { from: ids[TRIMMED] ?? '', after: TRIMMED + 1 },
    // It is gone itself, but nothing after it is.
    'the last trimmed': { from: oldest, after: TRIMMED },
    expired: { from: ids[2] ?? '', after: TRIMMED, gap: { reason: 'expired', resumed_from: oldest } },
    'what was lost': { from: lost, after: EVENTS, gap: { reason: 'epoch', resumed_from: head } },
    'another epoch': { from: `another-${EVENTS}`, after: EVENTS, gap: { reason: 'epoch', resumed_from: head } },
  };
  const selectors: Record<string, { channels: string[]; selects: (channel: string) => boolean }> = {
    'one channel': { channels: ['forge.job.a'], selects: (channel) => channel === 'forge.job.a' },
    'many channels': { channels: ['forge.job.b', 'global', 'user.nobody'], selects: (channel) => channel !== 'forge.job.a' },
    'a pattern': { channels: ['forge.**'], selects: (channel) => channel !== 'global' },
    'overlapping patterns': { channels: ['**', 'forge.**', 'global'], selects: () => true },
  };
  let checked = 0;
  for (const [surface, resume] of Object.entries({ ...SURFACES, ...PLAIN })) {
    for (const [selector, { channels, selects }] of Object.entries(selectors)) {
      if (surface in PLAIN && channels.length > 1) continue;
      for (const [name, { from, after, gap }] of Object.entries(positions)) {
        // A page of history begins with the oldest event when it cannot go on from a position of another log.
        const restarts = name === 'another epoch' && (surface === 'events.history' || surface === 'plain HTTP');
        const start = restarts ? TRIMMED : after;
        const seqs = ids.map((_, index) => index + 1).filter((seq) => seq > start && selects(CHANNELS[(seq - 1) % CHANNELS.length] ?? ''));
        const expected = {
          gap: gap === undefined ? null : { ...gap, requested: from, ...(restarts && { resumed_from: expect.stringMatching(/-10$/) }) },
          seqs,
        };
        expect(await resume(gateway.url, token, channels, from), `${surface}, ${selector}, ${name}`).toEqual(expected);
        checked += 1;
      }
      for (const garbage of ['garbage', '-1', `${head}x`, '0', ' ']) {
        expect(await resume(gateway.url, token, channels, garbage), `${surface}, ${selector}, ${garbage}`).toEqual({
          refused: 'BAD_REQUEST',
        });
        checked += 1;
      }
    }
  }
  report(task, 17, 'resume from every kind of position, over every surface', { cases: checked });
});
