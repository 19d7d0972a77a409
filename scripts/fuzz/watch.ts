/**
 * Runs within the gateway that is fuzzed, and tells the fuzzer how long its event loop was held, and what it keeps. What counts
 * is the time that the thread itself worked, so that a busy machine is not taken for a fault.
 */
const LOOK_MS = 2;

let since = performance.now();
let worked = process.threadCpuUsage();
let worstMs = 0;

const timer = setInterval(() => {
  const now = performance.now();
  const used = process.threadCpuUsage(worked);
  worstMs = Math.max(worstMs, Math.min(now - since, (used.user + used.system) / 1000));
  since = now;
  worked = process.threadCpuUsage();
}, LOOK_MS);
timer.unref();

process.on('message', () => {
  // Twice: what ends with the first becomes garbage for the second.
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  process.send?.({ worstMs, keptBytes: heapUsed + external, rssBytes: rss });
  worstMs = 0;
  since = performance.now();
  worked = process.threadCpuUsage();
});
process.channel?.unref();
