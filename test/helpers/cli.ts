/** The command line in a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { ENVIRONMENT } from './environment.ts';

const CLI = fileURLToPath(new URL('../../scripts/courier.ts', import.meta.url));

export interface CliRun extends AsyncDisposable {
  readonly stdout: string[];
  readonly stderr: string[];
  readonly stdin: Writable;
  /** Resolves once a line of standard output or error matches. */
  line(pattern: RegExp): Promise<string>;
  /** Resolves to the exit code once it has ended. */
  readonly exit: Promise<number | string>;
  kill(signal: NodeJS.Signals): void;
  /** Whether its standard output is read, as it is from the beginning on. */
  reads(isReading: boolean): void;
}

/** @param input what comes on standard input; null leaves that open, for `stdin`. */
export function runCli(args: readonly string[], env: Record<string, string> = {}, input: string | null = ''): CliRun {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { ...ENVIRONMENT, NO_COLOR: '1', COURIER_LOG: 'memory:', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  if (input !== null) child.stdin.end(input);
  const stdout: string[] = [];
  const stderr: string[] = [];
  const waiting = new Set<() => void>();
  let output: Interface | undefined;
  for (const [stream, lines] of [
    [child.stdout, stdout],
    [child.stderr, stderr],
  ] as const) {
    const read = createInterface({ input: stream });
    if (stream === child.stdout) output = read;
    read.on('line', (line) => {
      lines.push(line);
      for (const check of waiting) check();
    });
  }
  const exit = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  const line = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const check = () => {
        const found = [...stdout, ...stderr].find((candidate) => pattern.test(candidate));
        if (found === undefined) return;
        waiting.delete(check);
        resolve(found);
      };
      waiting.add(check);
      check();
      void exit.then((code) => reject(new Error(`ended with ${code} before ${pattern}: ${stderr.join('\n')}`)));
    });
  return {
    stdout,
    stderr,
    stdin: child.stdin,
    line,
    exit,
    kill: (signal) => child.kill(signal),
    reads: (isReading) => void (isReading ? output?.resume() : output?.pause()),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exit;
    },
  };
}
