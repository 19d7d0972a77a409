/**
 * Loaded into the gateway's process before anything else. It watches how long the event loop is kept from its next turn, and
 * tells that and what memory holds when it is asked. What counts is the time that the main thread has computed, so that a
 * busy machine looks like no fault.
 */

/** How often the loop has to come round, in ms. */
const TICK_MS = 5;
/** From so many ms of computing in one turn on a turn is noted. */
const NOTED_MS = 25;
const MAX_NOTED = 1000;

/** A turn of the event loop that took long. Moments are in ms since 1970. */
export interface Block {
  readonly from: number;
  readonly to: number;
  /** Computed in it, in ms. */
  readonly computedMs: number;
}

/** `memory` is what is left after a collection of garbage, which takes its time; `turns` is answered at once. */
export type Question = 'memory' | 'turns';

/** What a question is answered with: what has been since the one before, and what is now. */
export interface Report {
  readonly blocks: readonly Block[];
  /** Of V8, and of buffers. */
  readonly heldBytes: number;
  readonly rssBytes: number;
  /** The most that there was at a tick. */
  readonly peakRssBytes: number;
  /** TCP connections that there are. */
  readonly sockets: number;
}

let blocks: Block[] = [];
let peakRssBytes = 0;
let lastAt = performance.timeOrigin + performance.now();
let lastComputed = computed();
let ticks = 0;

function computed(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function tick(): void {
  const now = performance.timeOrigin + performance.now();
  const nowComputed = computed();
  const computedMs = nowComputed - lastComputed;
  if (computedMs >= NOTED_MS && blocks.length < MAX_NOTED) blocks.push({ from: lastAt, to: now, computedMs });
  lastAt = now;
  lastComputed = nowComputed;
  ticks += 1;
  if (ticks % 10 === 0) peakRssBytes = Math.max(peakRssBytes, process.memoryUsage.rss());
}

async function report(question: Question): Promise<Report> {
  tick();
  const told = blocks;
  if (question === 'memory') await collect();
  blocks = [];
  const { heapUsed, external, rss } = process.memoryUsage();
  peakRssBytes = Math.max(peakRssBytes, rss);
  const sockets = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
  return { blocks: told, heldBytes: heapUsed + external, rssBytes: rss, peakRssBytes, sockets };
}

async function collect(): Promise<void> {
  // What has a finalizer is given up in the turn after a collection, and is gone with the next.
  for (let collected = 0; collected < 2; collected += 1) {
    await globalThis.gc?.({ execution: 'async', type: 'major' });
    await new Promise((resolve) => setImmediate(resolve));
  }
  // That is the question's doing.
  lastComputed = computed();
}

setInterval(tick, TICK_MS).unref();
process.on('message', (question: Question) => void report(question).then((told) => process.send?.(told)));
// Whoever watches has gone.
process.on('disconnect', () => process.exit());
