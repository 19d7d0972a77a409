/**
 * A server that plays conformance vectors to clients of Courier, over tRPC, plain HTTP and plain WebSocket. Every run of
 * a vector has an address of its own, which a client takes for a gateway.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { CourierError, tellable } from '../../src/errors.ts';
import { readJson, sendJson, sendProblem } from '../../src/transport/http-exchange.ts';
import { answerBatch, answerHistory, answerPublish, type Exchange, NEVER, plainConnectionOf, servePlain } from './plain.ts';
import { Run, type Seen } from './run.ts';
import { clientOf } from './script.ts';
import { ScriptedSocket } from './socket.ts';
import { serveTrpc } from './trpc.ts';
import { type ScriptedConnection, type Vector, vectorOf } from './vector.ts';

/** Where nothing listens: the server's port is taken, and the server listens on 127.0.0.1 only. */
const AWAY = '127.0.0.2';

/** A vector that is being played. */
export interface PlayedVector {
  /** What the client takes for the gateway's address. */
  readonly url: string;
  readonly vector: Vector;
  readonly seen: () => Seen;
  /** Resolves once the whole script has been played, or something has differed from it. */
  readonly done: () => Promise<Seen>;
}

export interface ScriptedServer extends AsyncDisposable {
  readonly url: string;
  /** Begins a run. @param vector a reference (`gaps.json#expired-continue`), or a vector. @throws {RangeError} */
  play(vector: string | Vector): PlayedVector;
}

/** Listens on a free port of the loopback. */
export async function startScriptedServer(): Promise<ScriptedServer> {
  const runs = new Runs();
  runs.server.listen(0, '127.0.0.1');
  await once(runs.server, 'listening');
  const { url } = runs;
  return {
    url,
    play: (given) => {
      const run = runs.begin(given);
      return { url: runs.addressesOf(run).url, vector: run.vector, seen: () => run.seen, done: () => run.done() };
    },
    [Symbol.asyncDispose]: () => runs.close(),
  };
}

/** Where a request goes: a run, and the rest of the path. */
interface Target {
  readonly run: Run;
  readonly url: URL;
  /** Segments after the run's. */
  readonly path: readonly string[];
}

class Runs {
  readonly server = createServer((req, res) => void this.#answer(req, res));
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  readonly #runs = new Map<string, Run>();

  constructor() {
    this.server.on('upgrade', (req, socket, head) => this.#upgrade(req, socket, head));
    this.#sockets.on('headers', (headers, req) => {
      headers.push(`X-Courier-Contract: ${this.#targetOf(req)?.run.contract}`);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  begin(given: unknown): Run {
    const run = new Run(vectorOf(given), String(this.#runs.size + 1));
    this.#runs.set(run.id, run);
    return run;
  }

  /** What the client takes for the gateway's address, and where the server says what it has seen. */
  addressesOf({ id, vector }: Run): { readonly url: string; readonly run: string } {
    const run = `${this.url}/runs/${id}`;
    return { url: vector.gateway?.away ? run.replace('127.0.0.1', AWAY) : run, run };
  }

  async close(): Promise<void> {
    for (const ws of this.#sockets.clients) ws.terminate();
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  #targetOf(req: IncomingMessage): Target | undefined {
    const url = new URL(req.url ?? '', 'http://localhost');
    const [, root, id = '', ...path] = url.pathname.split('/');
    const run = root === 'runs' ? this.#runs.get(id) : undefined;
    return run && { run, url, path };
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const target = this.#targetOf(req);
    if (req.method === 'POST' && req.url === '/runs') await this.#begin(req, res);
    else if (target === undefined) res.writeHead(404).end();
    else if (target.path[0] === 'seen') sendJson(res, 200, JSON.stringify(target.run.seen));
    else if (target.path[0] === 'done') sendJson(res, 200, JSON.stringify(await target.run.done()));
    else if (target.run.isAway) res.destroy();
    else await answer(target.run, { req, res, url: target.url }, target.path);
  }

  async #begin(req: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      const { vector } = (await readJson(req, NEVER)) as { vector: unknown };
      sendJson(res, 201, JSON.stringify(this.addressesOf(this.begin(vector))));
    } catch (error) {
      sendJson(res, 400, JSON.stringify({ error: String(error) }));
    }
  }

  #upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const target = this.#targetOf(req);
    if (target?.run.isAway) {
      socket.destroy();
      return;
    }
    const [kind, list, ...rest] = target?.path ?? [];
    const isTrpc = kind === 'trpc' && list === undefined;
    if (target === undefined || rest.length > 0 || !(isTrpc || (kind === 'ws' && list !== undefined))) {
      target?.run.mismatch(`an upgrade of ${target.url.pathname}, where the gateway has none`);
      refuseUpgrade(socket, 404, undefined);
      return;
    }
    const { run } = target;
    // Over tRPC, publishes and reads come over WebSockets too, which their scripts do not count.
    const isCounted = !isTrpc || 'subscribe' in run.vector;
    const entry = isCounted ? run.nextConnection() : undefined;
    const client = isTrpc
      ? { ...clientOf('trpc', req), channels: null, types: null, from: null, last_event_id: null }
      : plainConnectionOf(run, req, target.url, list as string);
    const refusesUpgrade = entry?.refuse !== undefined && 'status' in entry.refuse;
    if (!isTrpc || refusesUpgrade) run.sawConnection(client, entry);
    if (refusesUpgrade) {
      const { status, retry_after_ms } = entry.refuse as { status: number; retry_after_ms?: number };
      // Those who speak tRPC are WebSockets of browsers, which do not see the headers.
      if (!isTrpc) run.toldToWait(retry_after_ms);
      refuseUpgrade(socket, status, retry_after_ms);
      run.played();
      return;
    }
    this.#sockets.handleUpgrade(req, socket, head, (ws) => serve(run, new ScriptedSocket(ws, socket), { req, isTrpc, isCounted, entry }));
  }
}

function serve(
  run: Run,
  socket: ScriptedSocket,
  { req, isTrpc, isCounted, entry }: { req: IncomingMessage; isTrpc: boolean; isCounted: boolean; entry: ScriptedConnection | undefined },
): void {
  // A code that says "do not come back".
  if (isCounted && entry === undefined) socket.close(4400, 'the script has no such connection');
  else if (isTrpc) serveTrpc(run, socket, req, entry);
  else if (entry !== undefined) servePlain(run, socket, entry);
}

/** Answers one request to a run. */
async function answer(run: Run, exchange: Exchange, [kind, rest]: readonly string[]): Promise<void> {
  const { req, res, url } = exchange;
  res.setHeader('x-courier-contract', run.contract);
  try {
    if (req.method === 'POST' && kind === 'publish') await answerPublish(run, exchange, rest && decodeURIComponent(rest));
    else if (req.method === 'POST' && kind === 'trpc' && rest === 'events.publishBatch') await answerBatch(run, exchange);
    else if (req.method === 'GET' && kind === 'events' && rest !== undefined) answerHistory(run, exchange, rest);
    else throw new CourierError('NOT_FOUND', 'no vector is about this');
  } catch (error) {
    const told = tellable(error);
    run.mismatch(`${req.method} ${url.pathname}: ${told.message}`);
    sendProblem(req, res, told, 'vector');
  }
}

function refuseUpgrade(socket: Duplex, status: number, retryAfterMs: number | undefined): void {
  const retryAfter = retryAfterMs === undefined ? '' : `Retry-After: ${Math.ceil(retryAfterMs / 1000)}\r\n`;
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n${retryAfter}\r\n`);
}
