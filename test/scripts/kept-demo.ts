/** The demo as somebody runs it who wants to look at it, and the processes that it has started. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { ENVIRONMENT } from '../helpers/environment.ts';
import { temporaryFolder } from '../helpers/folder.ts';

export const DEMO = fileURLToPath(new URL('../../scripts/demo/run.ts', import.meta.url));

export interface KeptDemo extends AsyncDisposable {
  readonly pid: number;
  /** Resolves to the first match of a line; rejects when the demo ends before. */
  line(pattern: RegExp): Promise<RegExpExecArray>;
  /** Sends a signal to it alone, if it runs still. */
  signal(name: NodeJS.Signals): void;
  /** Resolves to its exit code; null after SIGKILL. */
  readonly exited: Promise<unknown>;
  /** Resolves to what it and all that it has started have complained of, once all have ended. */
  readonly complaints: Promise<string>;
}

/** Starts it in a group of its own, as a terminal does. */
export function keepDemo(...args: string[]): KeptDemo {
  // After SIGKILL nobody removes what the demo has written.
  const folder = temporaryFolder();
  // PostgreSQL is another user.
  chmodSync(folder.path, 0o755);
  const child = spawn(process.execPath, [DEMO, '--keep', ...args], {
    env: { ...ENVIRONMENT, NO_COLOR: '1', TMPDIR: folder.path },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const pid = child.pid as number;
  const exited = once(child, 'exit').then(([code]) => code);
  const complaints = text(child.stderr);
  const lines = createInterface({ input: child.stdout });
  const seen: string[] = [];
  lines.on('line', (line) => seen.push(line));
  return {
    pid,
    line: async (pattern) => {
      for (;;) {
        const [match] = seen.map((line) => pattern.exec(line)).filter((found) => found !== null);
        if (match !== undefined) return match;
        const early = exited.then(async () => Promise.reject(new Error(`the demo ended: ${await complaints}`)));
        await Promise.race([once(lines, 'line'), early]);
      }
    },
    signal: (name) => void child.kill(name),
    exited,
    complaints,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await exited;
      // It ends once all have ended that the demo has started.
      await complaints;
      folder[Symbol.dispose]();
    },
  };
}

export interface Running {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** What runs on this machine now. */
function running(): Running[] {
  const listed = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' });
  return [...listed.matchAll(/^ *(\d+) +(\d+) +([^Z ]\S*) +(.*)$/gm)].map(([, pid, parent, , command]) => ({
    pid: Number(pid),
    parent: Number(parent),
    command: command as string,
  }));
}

/** What a process has started that runs now, and what that has started. */
export function startedBy(pid: number): Running[] {
  const all = running();
  const below = (parent: number): Running[] =>
    all.filter((one) => one.parent === parent && !one.command.startsWith('ps ')).flatMap((one) => [one, ...below(one.pid)]);
  return below(pid);
}

/** Those of them that run still. */
export function stillRunning(processes: readonly Running[]): Running[] {
  const all = running();
  return processes.filter(({ pid, command }) => all.some((one) => one.pid === pid && one.command === command));
}
