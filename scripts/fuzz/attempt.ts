/** Sends one input, as its sender would who does not care for the answer, and looks at what comes. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ServerFrames } from './frames.ts';
import type { Input } from './inputs.ts';
import { withTokens } from './tokens.ts';

/** How long an answer, or the end of the connection, may take, in ms. */
const PATIENCE_MS = 8000;
/** How long one who does not read, or waits for nothing, stays, in ms. */
const STAY_MS = 15;
/** Bytes of an answer that are looked at. */
const MAX_LOOKED_AT = 64 * 1024;
/** An answer that is one of these tells of a fault within. */
const INTERNAL = /INTERNAL_SERVER_ERROR|"stack"|\bat \S+ \(|node:internal|^HTTP\/1\.1 500/;

/** Resolves to what is wrong with how the input was taken; undefined when nothing is. */
export async function attempt(url: string, input: Input): Promise<string | undefined> {
  const { hostname, port } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const { until } = input;
  const heard = until === 'nothing' ? undefined : listen(socket, until);
  for (const piece of input.pieces) {
    if (socket.destroyed) break;
    socket.write(await withTokens(piece));
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (heard === undefined) {
    await new Promise((resolve) => setTimeout(resolve, STAY_MS));
    socket.destroy();
    return undefined;
  }
  return heard;
}

async function listen(socket: Socket, until: 'pong' | 'close'): Promise<string | undefined> {
  const frames = new ServerFrames();
  let text = '';
  const over = Promise.withResolvers<boolean>();
  const late = setTimeout(() => over.resolve(false), PATIENCE_MS);
  socket.on('data', (chunk: Buffer) => {
    if (text.length < MAX_LOOKED_AT) text += chunk.toString('latin1', 0, Math.min(chunk.length, MAX_LOOKED_AT));
    frames.push(chunk);
    // The bytes may be the beginning of a frame that never ends: then the last ping is part of it, and nothing is answered.
    if (until === 'pong' && (frames.pongs > 0 || frames.hasClosed)) over.resolve(true);
    if (text.includes('text/event-stream') || text.includes('HTTP/1.1 100')) over.resolve(true);
  });
  socket.on('end', () => over.resolve(true)).on('close', () => over.resolve(true));
  const quiet = until === 'pong' ? setTimeout(() => over.resolve(true), STAY_MS * 10) : undefined;
  // What is only half of a request is ended by who sent it.
  const half = until === 'close' ? setTimeout(() => socket.end(), STAY_MS * 10) : undefined;
  const wasAnswered = await over.promise;
  for (const timer of [late, quiet, half]) clearTimeout(timer);
  socket.destroy();
  if (!wasAnswered) return `not answered within ${PATIENCE_MS} ms`;
  return INTERNAL.test(text) ? text.slice(0, 2000) : undefined;
}
