/** The benchmark's processes, each asked one thing at a time. */
import { type ChildProcess, fork, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { PYTHON } from '../python-environment.ts';

const STDIO: StdioOptions = ['ignore', 'inherit', 'inherit', 'ipc'];

export interface Worker<TQuestion, TAnswer extends { readonly kind: string }> extends AsyncDisposable {
  /** Asks, and resolves to the answer. Rejects when the process ends before, or says that it failed. */
  ask<K extends TAnswer['kind']>(question: TQuestion, kind: K): Promise<Extract<TAnswer, { kind: K }>>;
  /** The first answer, which comes unasked. */
  readonly first: Promise<TAnswer>;
}

/** Starts `file` (relative to this one) and resolves when it has said something. */
export async function startWorker<TQuestion extends object | string, TAnswer extends { readonly kind: string }>(
  file: string,
): Promise<Worker<TQuestion, TAnswer>> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), {
    execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning'],
    stdio: STDIO,
  });
  return await workerOf(child, file);
}

/** As `startWorker`, for a program in Python: it speaks lines of JSON over the same channel, the socket NODE_CHANNEL_FD. */
export async function startPythonWorker<TQuestion extends object | string, TAnswer extends { readonly kind: string }>(
  file: string,
): Promise<Worker<TQuestion, TAnswer>> {
  return await workerOf(spawn(PYTHON, [fileURLToPath(new URL(file, import.meta.url))], { stdio: STDIO }), file);
}

async function workerOf<TQuestion extends object | string, TAnswer extends { readonly kind: string }>(
  child: ChildProcess,
  file: string,
): Promise<Worker<TQuestion, TAnswer>> {
  const next = () => nextMessage<TAnswer>(child, file);
  const first = next();
  await first;
  return {
    first,
    ask: async (question, kind) => {
      const answer = next();
      child.send(question);
      const got = await answer;
      if (got.kind !== kind) throw new Error(`${file} answered ${JSON.stringify(got)} instead of ${kind}`);
      return got as never;
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function nextMessage<T>(child: ChildProcess, file: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: T) => {
      child.off('exit', onExit);
      resolve(message);
    };
    const onExit = (code: number | null) => {
      child.off('message', onMessage);
      reject(new Error(`${file} ended with ${code}`));
    };
    child.once('message', onMessage);
    child.once('exit', onExit);
  });
}
