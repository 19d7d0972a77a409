/**
 * Sends inputs to a gateway and looks whether anything that it promises breaks: its neighbours go on receiving, no reply
 * is an internal error, nothing is logged as one, its memory comes back.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import type { Input } from './inputs.ts';

export interface FuzzTarget {
  readonly url: string;
  /** A token that may publish to `user.fuzz` and `global`. */
  readonly token: string;
  /** Lines that the gateway has logged as errors. */
  readonly errors: readonly string[];
}

export interface FuzzOptions {
  readonly target: FuzzTarget;
  readonly inputs: Iterable<Input>;
  readonly onProgress?: (tried: number) => void;
}

export interface FuzzOutcome {
  readonly tried: number;
  readonly byKind: Readonly<Record<string, number>>;
  /** Each input that broke something, with what. */
  readonly failures: readonly { readonly input: Input; readonly reason: string }[];
}

/** Inputs on their way at once. */
const AT_ONCE = 16;
/** How long an input may take to be answered, or its connection to be closed, in ms. */
const PATIENCE_MS = 5000;
/** Inputs between two events to the neighbour. */
const BETWEEN_HEARTBEATS = 25;
/** An answer that is none of these tells of a fault within. */
const INTERNAL = /INTERNAL_SERVER_ERROR|"stack"|\bat \S+ \(|node:internal/;

export async function fuzz({ target, inputs, onProgress }: FuzzOptions): Promise<FuzzOutcome> {
  await using neighbour = await startNeighbour(target);
  const failures: { input: Input; reason: string }[] = [];
  const byKind: Record<string, number> = {};
  const waiting = inputs[Symbol.iterator]();
  let tried = 0;
  const worker = async () => {
    for (let next = waiting.next(); !next.done; next = waiting.next()) {
      const input = next.value;
      const reason = await attempt(target, input).catch((error: Error) => error.message);
      if (reason !== undefined) failures.push({ input, reason });
      const kind = `${input.surface}: ${input.kind}`;
      byKind[kind] = (byKind[kind] ?? 0) + 1;
      tried += 1;
      onProgress?.(tried);
      if (tried % BETWEEN_HEARTBEATS !== 0) continue;
      const missed = await neighbour.beat().then(
        () => undefined,
        (error: Error) => error.message,
      );
      if (missed !== undefined) failures.push({ input, reason: missed });
      for (const line of target.errors.slice(seen)) failures.push({ input, reason: `logged: ${line}` });
      seen = target.errors.length;
    }
  };
  let seen = target.errors.length;
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return { tried, byKind, failures };
}

/** Resolves to what is wrong with how the input was taken; undefined when nothing is. */
function attempt(target: FuzzTarget, input: Input): Promise<string | undefined> {
  return input.surface === 'http' ? attemptHttp(target, input) : attemptWebSocket(target, input);
}

async function attemptHttp({ url, token }: FuzzTarget, { bytes }: Input): Promise<string | undefined> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk as Buffer));
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const at = bytes.indexOf('{token}');
  socket.end(at < 0 ? bytes : Buffer.concat([bytes.subarray(0, at), Buffer.from(token), bytes.subarray(at + '{token}'.length)]));
  const answered = await within(once(socket, 'close'));
  const answer = Buffer.concat(chunks).toString();
  socket.destroy();
  // A stream of events does not end by itself.
  if (!answered && !answer.includes('text/event-stream')) return `not answered within ${PATIENCE_MS} ms`;
  return INTERNAL.test(answer) || /^HTTP\/1\.1 500/.test(answer) ? answer : undefined;
}

async function attemptWebSocket({ url, token }: FuzzTarget, { surface, bytes }: Input): Promise<string | undefined> {
  const path = surface === 'trpc-websocket' ? '/trpc?connectionParams=1' : `/ws/user.fuzz?token=${token}`;
  const ws = new WebSocket(`${url.replace('http', 'ws')}${path}`);
  const answers: string[] = [];
  ws.on('message', (data) => answers.push(String(data)));
  ws.on('error', () => undefined);
  const closed = once(ws, 'close');
  await within(Promise.race([once(ws, 'open'), closed]));
  if (surface === 'trpc-websocket') ws.send(JSON.stringify({ method: 'connectionParams', data: { token } }));
  const raw = (ws as unknown as { _socket: { write(data: Buffer): void } | null })._socket;
  raw?.write(bytes);
  // Whatever it was, the connection then answers a ping or closes; the bytes may also be the beginning of a frame that
  // never comes to its end, which looks like silence and is ended by the client.
  const probe = randomBytes(4);
  if (ws.readyState === WebSocket.OPEN) ws.ping(probe);
  raw?.write(Buffer.alloc(0));
  await Promise.race([closed, once(ws, 'pong'), new Promise((resolve) => setTimeout(resolve, 50))]);
  ws.terminate();
  if (!(await within(closed))) return 'the connection did not close';
  return answers.find((answer) => INTERNAL.test(answer));
}

/** Subscribes, and receives an event for each beat. */
async function startNeighbour({ url, token }: FuzzTarget): Promise<AsyncDisposable & { beat(): Promise<void> }> {
  const ws = new WebSocket(`${url.replace('http', 'ws')}/ws/forge.job.heartbeat?token=${token}`);
  const received: string[] = [];
  let closedWith: number | undefined;
  ws.on('message', (data) => received.push(String(data)));
  ws.on('close', (code) => {
    closedWith = code;
  });
  await once(ws, 'message');
  const publish = async (kind: string) => {
    const response = await fetch(`${url}/publish/forge.job.heartbeat`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ type: 'forge.job.started', data: { job_id: 'heartbeat', kind } }),
    });
    if (response.status !== 201) throw new Error(`a publish beside was answered with ${response.status}`);
  };
  return {
    beat: async () => {
      const kind = randomBytes(8).toString('hex');
      await publish(kind);
      const deadline = performance.now() + PATIENCE_MS;
      while (!received.some((event) => event.includes(kind))) {
        if (closedWith !== undefined) throw new Error(`the subscriber beside was closed with ${closedWith}`);
        if (performance.now() > deadline) throw new Error('the subscriber beside did not get its event');
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      received.length = 0;
    },
    [Symbol.asyncDispose]: async () => {
      ws.terminate();
      if (closedWith === undefined) await once(ws, 'close');
    },
  };
}

/** Whether `done` resolves before patience ends. */
async function within(done: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), PATIENCE_MS);
  });
  const result = await Promise.race([
    done.then(
      () => true as const,
      () => true as const,
    ),
    late,
  ]);
  clearTimeout(timer);
  return result;
}
