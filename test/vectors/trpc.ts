/** The scripted server's side of tRPC over WebSocket: what Courier's endpoint does on the wire, after a script. */
import type { IncomingMessage } from 'node:http';
import superjson from 'superjson';
import { meaningOf } from '../../src/contract/codes.ts';
import type { Run, SeenClient } from './run.ts';
import { clientOf, deliver, type Line, refused } from './script.ts';
import type { ScriptedSocket } from './socket.ts';
import { errorShape, eventWithDate, itemText, publishOf, type RequestId, resultText, withDate } from './trpc-messages.ts';
import {
  type BatchAnswer,
  eventOf,
  type HistoryAnswer,
  type NoAnswer,
  type PublishAnswer,
  receiptOf,
  type ScriptedConnection,
  type ScriptedError,
} from './vector.ts';

interface Message {
  readonly id: RequestId;
  readonly method: string;
  readonly params: { readonly path: string; readonly input?: Parameters<typeof superjson.deserialize>[0]; readonly lastEventId?: string };
}

/** How long a token is good for where the vector does not say, in ms. */
const EXPIRES_IN_MS = 3_600_000;

/** Serves a connection. @param entry the script's entry for it; undefined where the vector is not about subscriptions. */
export function serveTrpc(run: Run, socket: ScriptedSocket, req: IncomingMessage, entry: ScriptedConnection | undefined): void {
  const connection = new TrpcConnection(run, socket, clientOf('trpc', req), entry);
  socket.ws.on('message', (data) => connection.onMessage(String(data)));
  if (new URL(req.url ?? '', 'http://localhost').searchParams.get('connectionParams') !== '1') connection.begin();
}

/** One subscription on a connection, as what a script plays on. */
class TrpcLine implements Line {
  readonly socket: ScriptedSocket;
  readonly #connection: TrpcConnection;
  readonly #id: RequestId;

  constructor(socket: ScriptedSocket, connection: TrpcConnection, id: RequestId) {
    this.socket = socket;
    this.#connection = connection;
    this.#id = id;
  }

  textOf(event: string): string {
    return itemText(this.#id, event);
  }

  ping(): Promise<boolean> {
    return this.#connection.ping();
  }

  refreshed(token: string): Promise<boolean> {
    return this.#connection.refreshed(token);
  }

  fail(error: ScriptedError): void {
    this.#connection.fail(this.#id, 'events.subscribe', error);
  }

  drain(meanwhile: readonly string[]): void {
    this.#connection.askToMove(meanwhile.map((event) => this.textOf(event)));
  }
}

class TrpcConnection {
  readonly #run: Run;
  readonly #socket: ScriptedSocket;
  #client: SeenClient;
  /** What the next subscription is given. */
  #entry: ScriptedConnection | undefined;
  #began = false;
  #active: RequestId | undefined;
  #pongs: (() => void)[] = [];
  readonly #refreshes: string[] = [];
  #onRefresh: () => void = () => undefined;

  constructor(run: Run, socket: ScriptedSocket, client: SeenClient, entry: ScriptedConnection | undefined) {
    this.#run = run;
    this.#socket = socket;
    this.#client = client;
    this.#entry = entry;
  }

  /** Once the client has said who it is. */
  begin(): void {
    this.#began = true;
    if (this.#entry?.refuse === undefined) return;
    const error = refused(this.#entry);
    this.#run.sawConnection({ ...this.#client, channels: null, types: null, from: null, last_event_id: null }, this.#entry);
    this.#reply({ id: null, error: errorShape(error) });
    this.#socket.close(meaningOf(error.code).close, error.code);
    this.#run.played();
  }

  onMessage(text: string): void {
    if (!this.#socket.isOpen) return;
    try {
      this.#read(text);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  #giveUp(error: unknown): void {
    this.#run.mismatch(`a message that cannot be read: ${String(error)}`);
    this.#socket.close(4400);
  }

  #read(text: string): void {
    if (text === 'PONG') this.#pongs.shift()?.();
    else if (text === 'PING') this.#socket.send(['PONG']);
    else if (!this.#began) {
      const { data } = JSON.parse(text) as { data: Record<string, string> | null };
      const { token = null, client = null, contract = null } = data ?? {};
      this.#client = { ...this.#client, token: token ?? this.#client.token, client, contract };
      this.begin();
    } else for (const message of [JSON.parse(text) as Message | Message[]].flat()) this.#take(message);
  }

  #take(message: Message): void {
    const { id, method } = message;
    if (method === 'subscription.stop') {
      if (id === this.#active) this.#reply({ id, result: { type: 'stopped' } });
      this.#active = undefined;
      return;
    }
    const { path, input, lastEventId } = message.params;
    const given = input === undefined ? undefined : superjson.deserialize<Record<string, unknown>>(input);
    if (path === 'events.subscribe') {
      const resumed = { ...given, ...(lastEventId !== undefined && { lastEventId }) };
      this.#subscribe(id, resumed).catch((error: unknown) => this.#giveUp(error));
    } else if (path === 'events.publish') this.#publish(id, given ?? {});
    else if (path === 'events.publishBatch') this.#publishBatch(id, (given ?? []) as unknown as Record<string, unknown>[]);
    else if (path === 'events.history') this.#history(id, given ?? {});
    else if (path === 'auth.whoami') this.#result(id, this.#whoami());
    else if (path === 'auth.refresh') this.#refresh(id, given ?? {});
    else {
      this.#run.mismatch(`a call of ${path}, which no vector is about`);
      this.fail(id, path, { code: 'NOT_FOUND' });
    }
  }

  async #subscribe(id: RequestId, input: Record<string, unknown>): Promise<void> {
    // A subscription that was refused is tried again on the same connection.
    const entry = this.#entry ?? this.#run.nextConnection();
    this.#entry = undefined;
    const {
      channels = [],
      types,
      from,
      lastEventId,
    } = input as { channels: string[]; types?: string[]; from?: string; lastEventId?: string };
    const seen = { channels, types: types ?? null, from: from ?? null, last_event_id: lastEventId ?? null };
    this.#run.sawConnection({ ...this.#client, ...seen }, entry);
    if (entry === undefined) {
      this.fail(id, 'events.subscribe', { code: 'BAD_REQUEST', message: 'the script has no such subscription' });
      return;
    }
    await this.#run.beforeNextStart?.();
    this.#run.beforeNextStart = undefined;
    this.#active = id;
    // What is refused for what it asks for never starts.
    if (entry.send !== undefined || typeof entry.end !== 'object' || !('error' in entry.end))
      this.#reply({ id, result: { type: 'started' } });
    await deliver(this.#run, entry, new TrpcLine(this.#socket, this, id));
  }

  /** Asks the client to open another connection. @param meanwhile what still comes over this one before that is confirmed. */
  askToMove(meanwhile: readonly string[]): void {
    this.#run.beforeNextStart = async () => {
      this.#socket.send(meanwhile);
      await this.ping();
    };
    this.#socket.send([JSON.stringify({ id: null, method: 'reconnect' })]);
  }

  #publish(id: RequestId, draft: Record<string, unknown>): void {
    const answer = this.#run.nextPublish();
    this.#run.sawPublish(this.#client, publishOf(draft), answer);
    if (answer === undefined) this.fail(id, 'events.publish', { code: 'BAD_REQUEST', message: 'the script has no such publish' });
    else this.#answerPublish(id, answer).catch((error: unknown) => this.#giveUp(error));
  }

  async #answerPublish(id: RequestId, answer: PublishAnswer): Promise<void> {
    if (typeof answer === 'string') this.#leaveUnanswered(answer);
    else if ('close' in answer) this.#socket.close(answer.close);
    else if ('error' in answer) await this.#refusePublish(id, answer.error);
    else if ('receipt' in answer) this.#result(id, withDate(receiptOf(answer.receipt)));
    else if ('half' in answer) {
      this.#socket.sendHalf(resultText(id, withDate(receiptOf(answer.half))));
      this.#socket.drop();
    } else throw new RangeError('a WebSocket has no status');
    this.#run.played();
  }

  #publishBatch(id: RequestId, drafts: readonly Record<string, unknown>[]): void {
    const answer: BatchAnswer | undefined = this.#run.nextBatch();
    this.#run.sawBatch(this.#client, drafts.map(publishOf), answer);
    if (answer === undefined) this.fail(id, 'events.publishBatch', { code: 'BAD_REQUEST', message: 'the script has no such batch' });
    else {
      if (typeof answer === 'string') this.#leaveUnanswered(answer);
      else if ('error' in answer) this.fail(id, 'events.publishBatch', answer.error);
      else
        this.#result(
          id,
          answer.receipts.map((form) => withDate(receiptOf(form))),
        );
      this.#run.played();
    }
  }

  #leaveUnanswered(how: NoAnswer): void {
    if (how === 'away') this.#run.leave();
    if (how !== 'silence') this.#socket.drop();
  }

  async #refusePublish(id: RequestId, error: ScriptedError): Promise<void> {
    this.fail(id, 'events.publish', error);
    if (error.code !== 'UNAUTHORIZED') return;
    // Who is not authenticated has no connection, once the answer is there.
    await this.ping();
    this.#socket.close(meaningOf(error.code).close, error.message);
  }

  #history(id: RequestId, input: Record<string, unknown>): void {
    const answer = this.#run.nextHistory();
    const { channels, types = null, after = null, limit = null } = input;
    this.#run.sawHistory(this.#client, { channels, types, after, limit } as Parameters<Run['sawHistory']>[1], answer);
    if (answer === undefined) this.fail(id, 'events.history', { code: 'BAD_REQUEST', message: 'the script has no such read' });
    else this.#answerHistory(id, answer);
  }

  #answerHistory(id: RequestId, answer: HistoryAnswer): void {
    if (typeof answer === 'string') this.#leaveUnanswered(answer);
    else if ('error' in answer) this.fail(id, 'events.history', answer.error);
    else {
      const { events, next, has_more, gap = null } = answer.page;
      this.#result(id, { events: events.map((form) => eventWithDate(eventOf(form))), next, has_more, gap });
    }
    this.#run.played();
  }

  #refresh(id: RequestId, { token }: Record<string, unknown>): void {
    this.#run.sawRefresh(this.#client, token as string);
    this.#client = { ...this.#client, token: token as string };
    this.#result(id, this.#whoami(EXPIRES_IN_MS));
    this.#refreshes.push(token as string);
    this.#onRefresh();
  }

  #whoami(expiresInMs = this.#run.vector.gateway?.expires_in_ms ?? EXPIRES_IN_MS): object {
    return {
      sub: 'vector',
      role: 'admin',
      expires_at: new Date(Date.now() + expiresInMs),
      expires_in_ms: expiresInMs,
      contract: this.#run.contract,
      may_subscribe: ['global', 'user.*', 'strategy.*', 'backtest.*', 'forge.job.*'],
      may_publish: ['global', 'user.*', 'strategy.*', 'backtest.*', 'forge.job.*'],
    };
  }

  /** Resolves to whether the client has answered before the connection closed; everything sent before has reached it. */
  async ping(): Promise<boolean> {
    const answered = new Promise<boolean>((resolve) => this.#pongs.push(() => resolve(true)));
    this.#socket.send(['PING']);
    return Promise.race([answered, this.#socket.closed.then(() => false)]);
  }

  /** Resolves to whether the client has renewed the connection with `token` before it closed. */
  async refreshed(token: string): Promise<boolean> {
    const renewed = new Promise<boolean>((resolve) => {
      this.#onRefresh = () => {
        if (this.#refreshes.includes(token)) resolve(true);
      };
    });
    this.#onRefresh();
    return Promise.race([renewed, this.#socket.closed.then(() => false)]);
  }

  /** Answers a call, or ends a subscription, with an error. */
  fail(id: RequestId, path: string, error: ScriptedError): void {
    if (this.#active === id) this.#active = undefined;
    this.#run.toldToWait(error.retry_after_ms);
    this.#reply({ id, error: errorShape(error, id, path) });
  }

  #result(id: RequestId, value: object): void {
    this.#socket.send([resultText(id, value)]);
  }

  #reply(message: object): void {
    this.#socket.send([JSON.stringify(message)]);
  }
}
