/** Questions and answers, and what is only told, over a channel: each side has its own names for what it takes. */
import type { Channel } from './channel.ts';

/** What one side takes: by its name what it is given, and what it answers. */
export type Takes<T> = { readonly [K in keyof T]: { readonly input: unknown; readonly answer: unknown } };

/** How one side answers what it is asked; what it is told is answered with nothing. */
export type Handlers<T extends Takes<T>> = {
  readonly [K in keyof T]: (input: T[K]['input'], bytes: Buffer) => T[K]['answer'] | Promise<T[K]['answer']>;
};

type Message =
  | { readonly what: string; readonly input: unknown; readonly id?: number }
  | { readonly answers: number; readonly value?: unknown; readonly error?: string };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

type AnyHandlers = Readonly<Record<string, (input: unknown, bytes: Buffer) => unknown>>;

/** @template Theirs what the other side takes. */
export class Calls<Theirs extends Takes<Theirs>> {
  readonly #channel: Channel;
  readonly #name: string;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #isOver = false;

  /** @param name of the other side, for what is said when it is gone. */
  constructor(channel: Channel, name: string) {
    this.#channel = channel;
    this.#name = name;
  }

  /** The other side takes less than it is told. */
  get isBehind(): boolean {
    return this.#channel.isBehind;
  }

  /** Answers the other side from now on. @param handlers `Handlers` of what this side takes. */
  serve(handlers: object, onEnd: () => void): void {
    this.#channel.listen({
      onMessage: (message, bytes) => this.#take(message as Message, bytes, handlers as AnyHandlers),
      onEnd: () => {
        this.#isOver = true;
        for (const { reject } of this.#waiting.values()) reject(this.#gone());
        this.#waiting.clear();
        onEnd();
      },
    });
  }

  /** @throws what the other side threw, as an Error with its words; an Error when it is gone. */
  ask<K extends keyof Theirs & string>(what: K, input: Theirs[K]['input']): Promise<Theirs[K]['answer']> {
    if (this.#isOver) return Promise.reject(this.#gone());
    const id = this.#nextId++;
    this.#channel.post({ what, input, id } satisfies Message);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
  }

  tell<K extends keyof Theirs & string>(what: K, input: Theirs[K]['input'], bytes?: Uint8Array): void {
    this.#channel.post({ what, input } satisfies Message, bytes);
  }

  end(): void {
    this.#channel.end();
  }

  #take(message: Message, bytes: Buffer, handlers: AnyHandlers): void {
    if ('answers' in message) {
      const waiting = this.#waiting.get(message.answers);
      this.#waiting.delete(message.answers);
      if (message.error === undefined) waiting?.resolve(message.value);
      else waiting?.reject(new Error(message.error));
      return;
    }
    const { what, input, id } = message;
    if (id === undefined) void handlers[what]?.(input, bytes);
    else this.#answer(id, () => handlers[what]?.(input, bytes));
  }

  #answer(id: number, work: () => unknown): void {
    const fail = (error: unknown) => this.#channel.post({ answers: id, error: error instanceof Error ? error.message : String(error) });
    try {
      const value = work();
      if (value instanceof Promise) value.then((later) => this.#channel.post({ answers: id, value: later }), fail);
      else this.#channel.post({ answers: id, value });
    } catch (error) {
      fail(error);
    }
  }

  #gone(): Error {
    return new Error(`${this.#name} is gone`);
  }
}
