/** Processes, by their ids. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { WebSocket } from 'ws';

/** Those that a process has started (Linux). */
export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

/** Whether it runs: one that has ended may yet wait for its parent. */
export function isThere(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Where Node.js listens for a debugger once a process has had SIGUSR1. */
const DEBUGGER = 'http://127.0.0.1:9229/json';

/** Has a Node.js process take memory until it has no more. Resolves when it has begun. */
export async function exhaust(pid: number): Promise<void> {
  process.kill(pid, 'SIGUSR1');
  const [target] = await debuggerTargets();
  const socket = new WebSocket(String(target?.webSocketDebuggerUrl));
  await once(socket, 'open');
  const expression = 'setTimeout(() => { const all = []; for (;;) all.push(new Array(1e5).fill(0.5)); })';
  socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } }));
  await once(socket, 'message');
  socket.terminate();
}

async function debuggerTargets(): Promise<{ readonly webSocketDebuggerUrl: string }[]> {
  for (const begunAt = performance.now(); ; ) {
    const answer = await fetch(DEBUGGER).catch(() => undefined);
    if (answer === undefined && performance.now() - begunAt > 10_000) throw new Error('no debugger listens');
    if (answer !== undefined) return (await answer.json()) as { webSocketDebuggerUrl: string }[];
    await wait(50);
  }
}
