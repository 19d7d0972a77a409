/** A plain WebSocket subscriber that reads when, and as fast as, it is told. */
import { setTimeout as wait } from 'node:timers/promises';
import { WebSocket } from 'ws';

export interface PacedReader extends Disposable {
  /** Text messages received so far. */
  readonly messages: readonly string[];
  /** The code that the connection was closed with, once it was. */
  readonly closeCode: number | undefined;
  /** Reads about so many bytes a second for so long. */
  readAt(bytesPerSecond: number, seconds: number): Promise<void>;
  /** Reads everything that comes until there are `count` messages or the connection has closed, and then nothing. */
  readUntil(count: number): Promise<void>;
}

/** Connects and reads nothing yet. */
export async function connectPacedReader(url: string): Promise<PacedReader> {
  const ws = new WebSocket(url);
  const messages: string[] = [];
  let bytes = 0;
  let closeCode: number | undefined;
  ws.on('message', (data) => {
    messages.push(String(data));
    bytes += (data as Buffer).length;
  });
  ws.on('error', () => undefined);
  ws.on('close', (code) => {
    closeCode = code;
  });
  // In the turn of the upgrade, so that nothing is read with it.
  await new Promise<void>((resolve, reject) => {
    ws.once('open', () => {
      ws.pause();
      resolve();
    });
    ws.once('error', reject);
  });
  const change = () =>
    new Promise<void>((resolve) => {
      const done = () => {
        ws.off('message', done).off('close', done);
        resolve();
      };
      ws.on('message', done).on('close', done);
    });
  return {
    messages,
    get closeCode() {
      return closeCode;
    },
    async readAt(bytesPerSecond, seconds) {
      const startedAt = performance.now();
      const before = bytes;
      while (closeCode === undefined && performance.now() - startedAt < seconds * 1000) {
        // What a socket hands over at once is more than is wanted in a moment; the pause after it makes up for that.
        const due = ((bytes - before) / bytesPerSecond) * 1000 - (performance.now() - startedAt);
        if (due > 0) await wait(Math.min(due, seconds * 1000 - (performance.now() - startedAt)));
        else {
          ws.resume();
          await change();
          ws.pause();
        }
      }
    },
    async readUntil(count) {
      ws.resume();
      while (closeCode === undefined && messages.length < count) await change();
      ws.pause();
    },
    [Symbol.dispose]: () => ws.terminate(),
  };
}
