/** What the processes of a gateway have in common: their exit codes, what ends them, and how they say why. */
import type { Failures } from './observe/failures.ts';
import type { Logger } from './observe/logger.ts';

/** Exit codes: 0 after an orderly end, 1 when something cannot be had or failed, 2 for a wrong value. */
export const EXIT = { done: 0, failed: 1, misconfigured: 2 } as const;

/** Closes the log. Returns `code`, unless nobody reads the log: the process has ended with it then. */
export async function closed(logger: Logger, code: number): Promise<number> {
  if (!(await logger.close())) exit(code);
  return code;
}

const lastActs = new Set<() => void>();

/** Has `act` called before the process ends in whatever way it can notice, until the function that this returns is called. */
export function atExit(act: () => void): () => void {
  lastActs.add(act);
  process.on('exit', act);
  return () => {
    lastActs.delete(act);
    process.off('exit', act);
  };
}

/** Ends the process at once, though nobody reads what it has logged: what is to be done when a process exits would wait for that. */
export function exit(code: number): never {
  for (const act of lastActs) act();
  process.removeAllListeners('exit');
  process.exit(code);
}

/** Tells on standard error why the gateway does not start. */
export function tellProblems(problems: readonly string[]): void {
  for (const problem of problems) process.stderr.write(`courier: ${problem}\n`);
}

/** What nobody caught has left something in a state that nobody knows: the gateway drains and ends. */
export function firstUncaught(failures: Failures): Promise<void> {
  return new Promise((resolve) => {
    const onUncaught = (error: unknown) => {
      failures.report('process', 'nobody caught this', error);
      resolve();
    };
    process.on('uncaughtException', onUncaught);
    process.on('unhandledRejection', onUncaught);
  });
}

/** Resolves to the first signal that asks to end; the second one ends the process at once. */
export function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let signalled = false;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (signalled) exit(EXIT.failed);
        signalled = true;
        resolve(signal);
      });
    }
  });
}
