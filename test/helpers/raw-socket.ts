/** A WebSocket client that sends text as it is and keeps every message and the close code. */
import { once } from 'node:events';
import { WebSocket } from 'ws';

export interface RawSocket extends AsyncDisposable {
  readonly ws: WebSocket;
  readonly messages: string[];
  send(message: unknown): void;
  /** Resolves once this many messages have come; rejects when the connection closes before. */
  count(count: number): Promise<string[]>;
  readonly closed: Promise<{ code: number; reason: string }>;
}

export async function openSocket(
  url: string,
  options: { headers?: Record<string, string>; localAddress?: string } = {},
): Promise<RawSocket> {
  const ws = new WebSocket(url, options);
  const messages: string[] = [];
  const waiting = new Set<() => void>();
  ws.on('message', (data) => {
    messages.push(String(data));
    for (const check of waiting) check();
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  await once(ws, 'open');
  const count = (wanted: number) =>
    new Promise<string[]>((resolve, reject) => {
      const check = () => {
        if (messages.length >= wanted) resolve(messages);
      };
      waiting.add(check);
      check();
      void closed.then(({ code }) => reject(new Error(`closed with ${code} after ${messages.length} of ${wanted} messages`)));
    });
  return {
    ws,
    messages,
    closed,
    count,
    send: (message) => ws.send(typeof message === 'string' ? message : JSON.stringify(message)),
    [Symbol.asyncDispose]: async () => {
      ws.terminate();
      await closed;
    },
  };
}
