/**
 * Redis, as one instance uses it. The connection tries twice a second everything that Courier needs of Redis. It leaves a link
 * that is lost, or that leads to a server that takes no writes, and makes another one to the server that is at the address, or is
 * the master, by then. While there is no link, commands fail at once. Nobody has to do anything when Redis can be used again.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { before } from '../before.ts';
import { parseRedisAddress, type RedisAddress, type RedisServer } from './address.ts';
import { RedisLink } from './link.ts';
import { RedisProbe } from './probe.ts';
import { Sentinels } from './sentinels.ts';
import { type Trouble, troubleOf } from './trouble.ts';

/** How long a command may take before it counts as failed, in ms. */
const COMMAND_MS = 1000;
/** How long nothing is tried after Redis was, in ms. */
const PROBE_EVERY_MS = 500;
const MAX_PAUSE_MS = 1000;
/** Trouble with which a link is of no use any more: another server may be the right one, or let the gateway in. */
const LINK_IS_USELESS: readonly Trouble['kind'][] = ['away', 'readOnly', 'password'];

type Listener = (text: string) => void;
interface Probed {
  readonly link: RedisLink;
  readonly probe: RedisProbe;
}

export class RedisConnection implements AsyncDisposable {
  readonly #address: RedisAddress;
  readonly #findServer: (signal: AbortSignal) => Promise<RedisServer>;
  readonly #prefix: string;
  readonly #onTrouble: (trouble: Trouble) => void;
  readonly #listeners = new Map<string, Listener>();
  readonly #reconnected = new Set<() => void>();
  readonly #closing = new AbortController();
  #link: RedisLink | undefined;
  #trouble: Trouble | undefined;
  readonly #tried = Promise.withResolvers<void>();
  readonly #kept: Promise<void>;

  private constructor(address: RedisAddress, namespace: string, onTrouble: (trouble: Trouble) => void) {
    this.#address = address;
    this.#prefix = `courier:{${namespace}}:`;
    this.#onTrouble = onTrouble;
    const sentinels = new Sentinels(address);
    this.#findServer = async (signal) =>
      address.master === undefined ? (address.servers[0] as RedisServer) : sentinels.findMaster(signal);
    this.#kept = this.#keep();
  }

  /**
   * Resolves once Redis was tried for the first time. Whatever the trouble is then, it is as later: it is told, and Redis is used
   * as soon as it can be.
   *
   * @param namespace stands before every key and channel.
   * @param onTrouble told once whenever Redis cannot be used any more, and when that is for another reason than before.
   * @throws why `signal` was aborted.
   */
  static async open(
    url: string,
    namespace: string,
    onTrouble: (trouble: Trouble) => void = () => undefined,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<RedisConnection> {
    await using stack = new AsyncDisposableStack();
    const connection = stack.use(new RedisConnection(parseRedisAddress(url), namespace, onTrouble));
    await before(signal, connection.#tried.promise);
    stack.move();
    return connection;
  }

  /** Whether everything works. */
  get ready(): boolean {
    return this.#link !== undefined && this.#trouble === undefined;
  }

  /** Why it cannot be used, or not for everything, and what to do; undefined when it can. */
  get problem(): string | undefined {
    return this.#trouble?.words;
  }

  key(name: string): string {
    return this.#prefix + name;
  }

  /** Sends a command. Rejects when Redis is away, refuses it, or does not answer in time. */
  async send<T>(args: readonly string[]): Promise<T> {
    if (this.#link === undefined) throw new Error('Redis is away');
    return this.#link.send<T>(args, COMMAND_MS);
  }

  /**
   * @param listener is given each message as the JSON object that it is; undefined for one that is none.
   * @throws why `signal` was aborted.
   */
  async subscribe(
    channel: string,
    listener: (message: object | undefined) => void,
    signal: AbortSignal = this.#closing.signal,
  ): Promise<void> {
    const hear = (text: string) => listener(parsed(text));
    this.#listeners.set(this.key(channel), hear);
    const link = this.#link;
    // The next link is subscribed with it, where this one is not.
    await link?.subscribe(this.key(channel), hear, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      link.leave(error);
    });
  }

  /** Called whenever Redis can be used again after an interruption: messages may have been missed. */
  onReconnect(listener: () => void): void {
    this.#reconnected.add(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#link?.[Symbol.dispose]();
    await this.#kept;
  }

  async #connect(): Promise<Probed> {
    const { signal } = this.#closing;
    const link = await RedisLink.open(await this.#findServer(signal), this.#address, signal);
    if (signal.aborted) {
      link[Symbol.dispose]();
      throw signal.reason;
    }
    this.#link = link;
    for (const [channel, listener] of this.#listeners) await link.subscribe(channel, listener, signal);
    return { link, probe: await RedisProbe.on(link, this.#prefix, signal) };
  }

  /** Keeps a link until it is closed: makes it, tries it, leaves it when it is of no use, makes another. Never rejects. */
  async #keep(): Promise<void> {
    const { signal } = this.#closing;
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.#watch(await this.#connect(), () => {
          failures = 0;
        });
      } catch (error) {
        if (!signal.aborted) this.#suffer(troubleOf(error));
      }
      this.#tried.resolve();
      this.#link?.[Symbol.dispose]();
      this.#link = undefined;
      const pauseMs = Math.min(50 * 2 ** failures, MAX_PAUSE_MS) * (0.5 + Math.random() / 2);
      await wait(pauseMs, undefined, { signal }).catch(() => undefined);
      failures += 1;
    }
  }

  /** Tries a link again and again, until it is of no use. @throws why it was lost. */
  async #watch({ link, probe }: Probed, onUsable: () => void): Promise<void> {
    for (;;) {
      const trouble = await this.#try(probe);
      if (trouble === undefined) onUsable();
      else if (LINK_IS_USELESS.includes(trouble.kind)) return;
      await wait(PROBE_EVERY_MS, undefined, { signal: link.lost }).catch(() => {
        throw link.lost.reason;
      });
    }
  }

  async #try(probe: RedisProbe): Promise<Trouble | undefined> {
    const trouble = await probe.run();
    if (this.#closing.signal.aborted) return trouble;
    if (trouble === undefined) this.#recover();
    else this.#suffer(trouble);
    this.#tried.resolve();
    return trouble;
  }

  #suffer(trouble: Trouble): void {
    const isNew = this.#trouble?.kind !== trouble.kind;
    this.#trouble = trouble;
    if (isNew) this.#onTrouble(trouble);
  }

  #recover(): void {
    if (this.#trouble === undefined) return;
    this.#trouble = undefined;
    for (const listener of this.#reconnected) listener();
  }
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
