/**
 * A client over raw TCP that does as it is told and nothing more: it reads only while it is to, answers no ping unless told
 * so, goes on writing after a close frame, and never closes by itself.
 */
import { connect, type Socket } from 'node:net';
import { type ErrorCode, meaningOf } from '../../src/contract/codes.ts';

/** An event or a notice, as far as tests look at it. */
export interface HeardEvent {
  readonly id: string;
  readonly type: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly data: Readonly<Record<string, unknown>>;
}
/** How the gateway ended a connection: the code of the close frame, or what stands for it. */
export interface Goodbye {
  readonly code: number;
  readonly reason: string;
}
/** What one message of the gateway says. */
export interface Said {
  readonly event?: HeardEvent | undefined;
  readonly goodbye?: Goodbye | undefined;
}
/** Reads a message: the text of a frame, or the fields of a server-sent event. */
export type ReadMessage = (message: { readonly name?: string | undefined; readonly text: string }) => Said;

const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;

/** A frame as a client has to send it, with a mask of zeros. */
export function maskedFrame(opcode: number, payload: Buffer | string = ''): Buffer {
  const body = Buffer.from(payload);
  const first = 0x80 | opcode;
  const mask = [0, 0, 0, 0];
  if (body.length < 126) return Buffer.concat([Buffer.from([first, 0x80 | body.length, ...mask]), body]);
  const length = Buffer.alloc(body.length < 65_536 ? 2 : 8);
  if (length.length === 2) length.writeUInt16BE(body.length);
  else length.writeBigUInt64BE(BigInt(body.length));
  return Buffer.concat([Buffer.from([first, 0x80 | (length.length === 2 ? 126 : 127)]), length, Buffer.from(mask), body]);
}

export const textFrame = (message: unknown): Buffer => maskedFrame(1, typeof message === 'string' ? message : JSON.stringify(message));
export const pingFrame = (payload = ''): Buffer => maskedFrame(PING, payload);

export interface PeerOptions {
  readonly port: number;
  /** The path and query of its request. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent in one piece with the request. */
  readonly behind?: readonly Buffer[];
  readonly read: ReadMessage;
  readonly answersPings?: boolean;
}

export class Peer {
  readonly socket: Socket;
  /** Resolves when the connection is gone: the gateway has ended and closed it. */
  readonly gone: Promise<void>;
  readonly events: HeardEvent[] = [];
  /** Texts as they came, comments of server-sent events too. */
  readonly texts: string[] = [];
  status: number | undefined;
  /** The head of the answer. */
  head = '';
  goodbye: Goodbye | undefined;
  /** How long a stream of server-sent events asks its client to wait before it comes back. */
  retryMs: number | undefined;
  /** Of an answer that is neither a WebSocket nor a stream. */
  body = '';
  /** Pings that came. */
  pings = 0;
  isGone = false;
  readonly #read: ReadMessage;
  readonly #answersPings: boolean;
  #rest: Buffer = Buffer.alloc(0);
  #waiting = new Set<() => void>();

  constructor({ port, target, headers = {}, behind = [], read, answersPings = false }: PeerOptions) {
    this.#read = read;
    this.#answersPings = answersPings;
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk: Buffer) => this.#take(chunk));
    this.socket.on('error', () => undefined);
    // What has come before the end has to be read for the connection to be gone.
    this.socket.on('end', () => {
      this.#readRefusal();
      this.socket.destroy();
    });
    this.gone = new Promise((resolve) => {
      this.socket.on('close', () => {
        this.isGone = true;
        this.#wake();
        resolve();
      });
    });
    const lines = Object.entries({ host: `127.0.0.1:${port}`, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    this.socket.write(Buffer.concat([Buffer.from(`GET ${target} HTTP/1.1\r\n${lines.join('')}\r\n`), ...behind]));
  }

  /** Resolves once `done` holds; rejects when the connection is gone before. */
  until(done: (peer: this) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = () => {
        if (done(this)) resolve();
        else if (this.isGone)
          reject(new Error(`gone with ${this.status} ${JSON.stringify(this.goodbye)} after ${this.events.length} events`));
        else return;
        this.#waiting.delete(check);
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** Resolves once it was told that it is live: it is signed in, and subscribed. */
  live(): Promise<void> {
    return this.until(({ events }) => events.some(({ type }) => type === 'courier.live'));
  }

  /** Resolves to how it was ended, once it is gone. */
  async ended(): Promise<Goodbye | undefined> {
    await this.gone;
    return this.goodbye;
  }

  write(...frames: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Reads nothing any more, until `resume`. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Events that are no notices. */
  get published(): HeardEvent[] {
    return this.events.filter(({ type }) => !type.startsWith('courier.'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.gone;
  }

  #wake(): void {
    for (const check of [...this.#waiting]) check();
  }

  #take(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (this.status === undefined) this.#readHead();
    if (this.status === 101) this.#readFrames();
    else if (this.#isStream) this.#readStream();
    this.#wake();
  }

  get #isStream(): boolean {
    return /^content-type: text\/event-stream/im.test(this.head);
  }

  #readHead(): void {
    const end = this.#rest.indexOf('\r\n\r\n');
    if (end < 0) return;
    this.head = this.#rest.subarray(0, end).toString();
    this.status = Number(this.head.slice(9, 12));
    this.#rest = this.#rest.subarray(end + 4);
  }

  #readFrames(): void {
    for (;;) {
      const short = (this.#rest[1] ?? 0) & 0x7f;
      const headerLength = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (this.#rest.length < headerLength) return;
      const length = short < 126 ? short : short === 126 ? this.#rest.readUInt16BE(2) : Number(this.#rest.readBigUInt64BE(2));
      if (this.#rest.length < headerLength + length) return;
      const opcode = (this.#rest[0] ?? 0) & 0x0f;
      const payload = this.#rest.subarray(headerLength, headerLength + length);
      this.#rest = this.#rest.subarray(headerLength + length);
      if (opcode === CLOSE) this.goodbye ??= { code: payload.readUInt16BE(0), reason: payload.subarray(2).toString() };
      else if (opcode === PING) this.#takePing(payload);
      else if (opcode === 1) this.#hear({ text: payload.toString() });
    }
  }

  #takePing(payload: Buffer): void {
    this.pings += 1;
    if (this.#answersPings) this.write(maskedFrame(PONG, payload));
  }

  #readStream(): void {
    for (let end = this.#rest.indexOf('\n\n'); end >= 0; end = this.#rest.indexOf('\n\n')) {
      const text = this.#rest.subarray(0, end).toString();
      this.#rest = this.#rest.subarray(end + 2);
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1];
      const [data, retry] = [field('data'), field('retry')];
      if (retry !== undefined) this.retryMs = Number(retry);
      if (data === undefined || data === '') this.texts.push(text);
      else this.#hear({ name: field('event'), text: data });
    }
  }

  #hear(message: Parameters<ReadMessage>[0]): void {
    this.texts.push(message.text);
    const { event, goodbye } = this.#read(message);
    if (event !== undefined) this.events.push(event);
    this.goodbye ??= goodbye;
  }

  /** An error instead of a stream stands for the close code that a WebSocket would be closed with. */
  #readRefusal(): void {
    if (this.status === undefined || this.status === 101 || this.#isStream) return;
    this.body = this.#rest.toString();
    const [, code] = /"code":"(\w+)"/.exec(this.body) ?? [];
    const [, reason = ''] = /"(?:detail|message)":"((?:[^"\\]|\\.)*)"/.exec(this.body) ?? [];
    if (code !== undefined) this.goodbye ??= { code: meaningOf(code as ErrorCode).close, reason: JSON.parse(`"${reason}"`) };
  }
}
