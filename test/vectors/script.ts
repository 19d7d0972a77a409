/** Plays an entry of a script on a connection, whatever the protocol. */
import type { IncomingMessage } from 'node:http';
import { headerOf } from '../../src/transport/http-exchange.ts';
import type { Run, SeenClient } from './run.ts';
import type { ScriptedSocket } from './socket.ts';
import { eventOf, type Item, noticeOf, type Protocol, type ScriptedConnection, type ScriptedError } from './vector.ts';

/** Where a subscription's items go. */
export interface Line {
  readonly socket: ScriptedSocket;
  /** The message that carries an event, which is given as JSON. */
  textOf(event: string): string;
  /** Resolves to whether the client has answered a ping; everything sent before has reached it then. */
  ping(): Promise<boolean>;
  /** Resolves to whether the client has renewed the connection with `token`. */
  refreshed(token: string): Promise<boolean>;
  /** Ends the subscription with an error. */
  fail(error: ScriptedError): void;
  /** Asks the client to go elsewhere, as a gateway does that ends. @param meanwhile events, as JSON, that it may still get here. */
  drain(meanwhile: readonly string[]): void;
}

/** Sends what the entry has, and ends as it says. */
export async function deliver(run: Run, { send = [], end = 'stay' }: ScriptedConnection, line: Line): Promise<void> {
  const texts: string[] = [];
  const flush = () => line.socket.send(texts.splice(0));
  for (const item of send) {
    if ('half' in item || 'ping' in item || 'refreshed' in item) flush();
    if ('half' in item) line.socket.sendHalf(line.textOf(JSON.stringify(eventOf(item.half))));
    else if ('ping' in item) {
      if (!(await line.ping())) run.mismatch('the client was gone before it answered a ping');
    } else if ('refreshed' in item) {
      if (!(await line.refreshed(item.refreshed)))
        run.mismatch(`the client was gone before it renewed the connection with ${item.refreshed}`);
    } else texts.push(line.textOf(jsonOf(item)));
  }
  flush();
  if (end === 'away') run.leave();
  if (end === 'drop' || end === 'away') line.socket.drop();
  else if (end !== 'stay') {
    if ('close' in end) line.socket.close(end.close, end.reason);
    else if ('drain' in end) line.drain((end.drain.meanwhile ?? []).map(jsonOf));
    else line.fail(end.error);
  }
  run.played();
}

function jsonOf(item: Exclude<Item, { half: unknown } | { ping: unknown } | { refreshed: unknown }>): string {
  if ('text' in item) return item.text;
  return JSON.stringify('event' in item ? eventOf(item.event) : noticeOf(item));
}

/** The error that an entry refuses a connection with, once it is open. */
export function refused({ refuse }: ScriptedConnection): ScriptedError {
  if (refuse === undefined || !('code' in refuse)) throw new RangeError('this refuses the upgrade, not the connection');
  return refuse;
}

/** Who a request says that its client is. */
export function clientOf(protocol: Protocol, req: IncomingMessage): SeenClient {
  const token = /^Bearer (.+)$/i.exec(headerOf(req, 'authorization') ?? '')?.[1] ?? null;
  return { protocol, token, client: headerOf(req, 'x-courier-client') ?? null, contract: headerOf(req, 'x-courier-contract') ?? null };
}
