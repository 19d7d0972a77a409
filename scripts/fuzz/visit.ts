/** Does over one TCP connection what an input says, and looks at what comes back. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { frame, ServerFrames } from './frames.ts';
import type { Input } from './inputs.ts';
import type { Step } from './steps.ts';
import { withTokens } from './tokens.ts';

/** How long the gateway may take to answer, or to let go of a connection that has ended, in ms. */
const PATIENCE_MS = 5000;
/** How long an input waits for an answer, or for its end: bytes may be the beginning of what never comes to its own. */
const ANSWER_MS = 100;
const END_MS = 2500;
const LAST_ANSWERS_MS = 30;
/** Characters of the answers that are looked at. */
const MAX_KEPT_BYTES = 64 * 1024;
/** An answer that is none of these tells of a fault within. */
const INTERNAL = /INTERNAL_SERVER_ERROR|"stack"|\bat \S+ \(|node:internal|^HTTP\/1\.1 500/m;
const PING = frame(0x89, Buffer.from('last'));

/** Resolves to what is wrong with how the input was taken; undefined when nothing is. */
export async function visit(url: string, { surface, steps }: Input): Promise<string | undefined> {
  const { hostname, port } = new URL(url);
  const caller = new Caller(connect({ port: Number(port), host: hostname, allowHalfOpen: true, noDelay: true }));
  try {
    await caller.connected();
    for (const step of steps) await caller.take(step);
    if (!(await caller.finish(surface.endsWith('websocket')))) return `the gateway kept the connection for ${PATIENCE_MS} ms`;
    return INTERNAL.exec(caller.answer) === null ? undefined : caller.answer;
  } finally {
    caller[Symbol.dispose]();
  }
}

class Caller implements Disposable {
  readonly #socket: Socket;
  readonly #frames = new ServerFrames();
  readonly #kept: Buffer[] = [];
  #keptBytes = 0;
  #isAnswered = false;
  /** The gateway will send nothing more. */
  #hasEnded = false;
  #isReading = true;
  /** Called when something came. */
  #onMoved = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#receive(chunk as Buffer));
    const onEnded = () => {
      this.#hasEnded = true;
      this.#onMoved();
    };
    socket.on('error', onEnded).on('end', onEnded).on('close', onEnded);
  }

  get answer(): string {
    return Buffer.concat(this.#kept).toString('latin1');
  }

  async connected(): Promise<void> {
    if (this.#socket.connecting) await once(this.#socket, 'connect');
  }

  async take(step: Step): Promise<void> {
    if ('write' in step) {
      this.#isAnswered = false;
      const bytes = await withTokens(step.write);
      if (this.#socket.writable) this.#socket.write(bytes);
    } else if ('pauseMs' in step) await this.#until(() => false, step.pauseMs);
    else if ('reads' in step) this.#read(step.reads);
    else if (step.until === 'answered') await this.#until(() => this.#isAnswered || this.#hasEnded, ANSWER_MS);
    else await this.#until(() => this.#frames.hasClosed || this.#hasEnded, END_MS);
  }

  /** Leaves, once the last answers may have come. Resolves to whether the gateway let go of the connection. */
  async finish(isWebSocket: boolean): Promise<boolean> {
    // A reader that has stopped can only be cut off: a gateway that waits for it does not hear that it leaves.
    if (!this.#isReading) return true;
    if (isWebSocket && !this.#hasEnded) {
      const { pongs } = this.#frames;
      this.#socket.write(PING);
      await this.#until(() => this.#hasEnded || this.#frames.hasClosed || this.#frames.pongs > pongs, LAST_ANSWERS_MS);
    }
    this.#socket.end();
    const isStream = () => this.#keptBytes > 0 && this.answer.includes('text/event-stream');
    await this.#until(() => this.#hasEnded || isStream(), PATIENCE_MS);
    return this.#hasEnded || isStream();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#isAnswered = true;
    this.#frames.push(chunk);
    if (this.#keptBytes < MAX_KEPT_BYTES) {
      this.#kept.push(chunk);
      this.#keptBytes += chunk.length;
    }
    this.#onMoved();
  }

  #read(isReading: boolean): void {
    this.#isReading = isReading;
    if (isReading) this.#socket.resume();
    else this.#socket.pause();
  }

  /** Resolves when `isThere`, or after so many ms. */
  #until(isThere: () => boolean, ms: number): Promise<void> {
    if (isThere()) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#onMoved = () => {};
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#onMoved = () => {
        if (isThere()) done();
      };
    });
  }
}
