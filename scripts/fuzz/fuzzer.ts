/**
 * Sends inputs to a gateway and looks whether anything that it promises breaks: its neighbours go on receiving, no answer is an
 * internal error, nothing is logged as one, nothing is stored that came too early or too late, its event loop is never held for
 * long, and what it keeps is little beside what it was sent.
 *
 * Inputs go in groups. A group that held the event loop, or was kept, is repeated one by one: what one input does again and again
 * is its fault, and what only a group did was the machine's.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { attempt } from './attempt.ts';
import { type FuzzedGateway, publish } from './gateway.ts';
import type { Input } from './inputs.ts';
import { LATE_CHANNEL } from './messages.ts';
import { GOOD_TOKEN } from './tokens.ts';

export interface FuzzOptions {
  readonly gateway: FuzzedGateway;
  readonly inputs: Iterable<Input>;
  /** For how long one input may hold the event loop, in ms of work. */
  readonly maxHeldMs: number;
  readonly onProgress?: (tried: number) => void;
}

export interface FuzzOutcome {
  readonly tried: number;
  readonly byKind: Readonly<Record<string, number>>;
  /** Each input that broke something, with what. */
  readonly failures: readonly { readonly input: Input; readonly reason: string }[];
  /** The longest that the event loop was held by any group, in ms of work. */
  readonly worstMs: number;
  readonly peakRssBytes: number;
}

/** Inputs on their way at once, and in a group. */
const AT_ONCE = 24;
const GROUP = 240;
/** How often an input is repeated before it counts. */
const REPEATS = 3;
const REPEATS_KEPT = 20;
/** What may be kept beside an input: ten times its size, and the noise of a heap. */
const KEPT_FACTOR = 10;
const KEPT_NOISE_BYTES = 1e6;
const GROUP_NOISE_BYTES = 12e6;
const PATIENCE_MS = 8000;

export async function fuzz({ gateway, inputs, maxHeldMs, onProgress }: FuzzOptions): Promise<FuzzOutcome> {
  const failures: { input: Input; reason: string }[] = [];
  const byKind: Record<string, number> = {};
  const outcome = { tried: 0, worstMs: 0, peakRssBytes: 0 };
  await using neighbour = await startNeighbour(gateway.url);
  await using late = await startNeighbour(gateway.url, LATE_CHANNEL);
  let kept = (await gateway.look()).keptBytes;
  let logged = gateway.errors.length;
  for (const group of groupsOf(inputs)) {
    failures.push(...(await attemptAll(gateway.url, group)));
    for (const { kind } of group) byKind[kind] = (byKind[kind] ?? 0) + 1;
    outcome.tried += group.length;
    onProgress?.(outcome.tried);
    const [first] = group as [Input, ...Input[]];
    const blame = (reason: string) => failures.push({ input: first, reason: `in its group: ${reason}` });
    await neighbour.beat().catch((error: Error) => blame(error.message));
    for (const line of gateway.errors.slice(logged)) blame(`logged: ${line}`);
    logged = gateway.errors.length;
    if (late.received.length > 0) blame(`stored: ${late.received.splice(0).join()}`);
    const seen = await gateway.look();
    outcome.worstMs = Math.max(outcome.worstMs, seen.worstMs);
    outcome.peakRssBytes = Math.max(outcome.peakRssBytes, seen.rssBytes);
    if (seen.worstMs > maxHeldMs) failures.push(...(await whoHolds(gateway, group, maxHeldMs)));
    if (seen.keptBytes - kept > GROUP_NOISE_BYTES) failures.push(...(await whoIsKept(gateway, group)));
    kept = Math.min(kept, seen.keptBytes) + (seen.keptBytes > kept ? (seen.keptBytes - kept) / 4 : 0);
  }
  return { ...outcome, byKind, failures };
}

function* groupsOf(inputs: Iterable<Input>): Generator<Input[], void> {
  let group: Input[] = [];
  for (const input of inputs) {
    if (group.push(input) < GROUP) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

async function attemptAll(url: string, group: readonly Input[]): Promise<{ input: Input; reason: string }[]> {
  const failures: { input: Input; reason: string }[] = [];
  const waiting = group.values();
  const worker = async () => {
    for (const input of waiting) {
      const reason = await attempt(url, input).catch((error: Error) => error.message);
      if (reason !== undefined) failures.push({ input, reason });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return failures;
}

/** Those of a group that hold the event loop by themselves, each time. */
async function whoHolds(gateway: FuzzedGateway, group: readonly Input[], maxHeldMs: number): Promise<{ input: Input; reason: string }[]> {
  const failures: { input: Input; reason: string }[] = [];
  for (const input of group) {
    let least = Number.POSITIVE_INFINITY;
    for (let n = 0; n < REPEATS && least > maxHeldMs; n += 1) {
      await gateway.look();
      await attempt(gateway.url, input);
      least = Math.min(least, (await gateway.look()).worstMs);
    }
    if (least > maxHeldMs) failures.push({ input, reason: `holds the event loop for ${Math.round(least)} ms` });
  }
  return failures;
}

/** Those of a group of which much is kept each time. */
async function whoIsKept(gateway: FuzzedGateway, group: readonly Input[]): Promise<{ input: Input; reason: string }[]> {
  const failures: { input: Input; reason: string }[] = [];
  for (const input of group) {
    const size = input.pieces.reduce((sum, { length }) => sum + length, 0);
    const before = (await gateway.look()).keptBytes;
    for (let n = 0; n < REPEATS_KEPT; n += 1) await attempt(gateway.url, input);
    const each = ((await gateway.look()).keptBytes - before) / REPEATS_KEPT;
    if (each > KEPT_NOISE_BYTES + KEPT_FACTOR * size) failures.push({ input, reason: `${Math.round(each)} bytes are kept of ${size}` });
  }
  return failures;
}

interface Neighbour extends AsyncDisposable {
  readonly received: string[];
  /** Publishes an event, and resolves when it was received. */
  beat(): Promise<void>;
}

async function startNeighbour(url: string, channel = 'forge.job.heartbeat'): Promise<Neighbour> {
  const ws = new WebSocket(`${url.replace('http', 'ws')}/ws/${channel}?token=${GOOD_TOKEN}`);
  const received: string[] = [];
  let closedWith: number | undefined;
  const waiting = new Set<() => void>();
  ws.on('message', (data) => {
    received.push(String(data));
    for (const check of waiting) check();
  });
  ws.on('close', (code) => {
    closedWith = code;
    for (const check of waiting) check();
  });
  await once(ws, 'message');
  received.length = 0;
  const until = (done: () => boolean) =>
    new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('the subscriber beside did not get its event')), PATIENCE_MS);
      const check = () => {
        if (closedWith !== undefined) reject(new Error(`the subscriber beside was closed with ${closedWith}`));
        else if (done()) resolve();
        else return;
        clearTimeout(late);
        waiting.delete(check);
      };
      waiting.add(check);
      check();
    });
  return {
    received,
    beat: async () => {
      const kind = randomBytes(8).toString('hex');
      await publish(url, JSON.stringify({ type: 'forge.job.started', channel, data: { job_id: 'heartbeat', kind } }));
      await until(() => received.some((event) => event.includes(kind)));
      received.length = 0;
    },
    [Symbol.asyncDispose]: async () => {
      ws.terminate();
      if (closedWith === undefined) await once(ws, 'close');
    },
  };
}
