/** Conversations with a gateway, or what is taken for one, by clients that know nothing: to compare what they are told. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { openSocket } from '../helpers/raw-socket.ts';

export type Json = Record<string, unknown>;

export const wsUrl = (url: string, path: string) => `${url.replace('http', 'ws')}${path}`;
const parsed = (text: string): unknown => JSON.parse(text);

/** What one conversation over tRPC gave: every message, and how the connection was closed if it was. */
export async function overTrpc(
  url: string,
  token: string,
  calls: readonly { method: string; path: string; input?: unknown }[],
  answers: number,
) {
  await using socket = await openSocket(wsUrl(url, '/trpc?connectionParams=1'));
  socket.send({ method: 'connectionParams', data: { token } });
  socket.send(calls.map(({ method, path, input }, index) => ({ id: index + 1, method, params: { path, input: { json: input } } })));
  const messages = [...(await socket.count(answers))];
  if (messages[0]?.includes('"id":null')) return { messages: messages.map(parsed), closed: (await socket.closed).code };
  if (calls[0]?.method === 'subscription' && !messages.some((message) => message.includes('"error"'))) {
    socket.send({ id: 1, method: 'subscription.stop' });
    messages.push((await socket.count(answers + 1)).at(-1) as string);
  }
  return { messages: messages.map(parsed) };
}

/** The same over a plain WebSocket, with as many messages as `count`, or until it is closed. */
export async function overPlainWebSocket(url: string, token: string, path: string, count: number) {
  await using socket = await openSocket(wsUrl(url, path), { headers: { authorization: `Bearer ${token}` } });
  if (count === 0) return { closed: await socket.closed };
  return { messages: (await socket.count(count)).map(parsed) };
}

export async function overHttp(url: string, token: string, path: string, body?: object) {
  const headers = { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) };
  const response = await fetch(url + path, body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) });
  const { status, headers: told } = response;
  return { status, type: told.get('content-type'), contract: told.get('x-courier-contract'), body: parsed(await response.text()) as Json };
}

/** What the answer to an upgrade says. */
export async function overUpgrade(url: string, token: string, path: string) {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': randomBytes(16).toString('base64'),
    authorization: `Bearer ${token}`,
  };
  const asked = request(url + path, { headers }).end();
  const [{ statusCode, headers: told }, socket] = (await once(asked, 'upgrade')) as [IncomingMessage, Socket];
  socket.destroy();
  return { status: statusCode, contract: told['x-courier-contract'], extensions: told['sec-websocket-extensions'] };
}
