/**
 * The connections to Redis that one instance has: one for commands, one that listens. While Redis is away commands fail at
 * once, and the connections come back by themselves.
 */
import { createClient } from 'redis';

/** How long a connection may take to be made, and how long nothing may be heard on it, in ms. */
const CONNECT_MS = 3000;
const SILENCE_MS = 3000;
const PING_MS = 1000;
/** How long a command may take before it counts as failed, in ms. */
const COMMAND_MS = 1000;
/** Commands that wait for their answers, at most. */
const MAX_WAITING = 20_000;
const MAX_PAUSE_MS = 1000;

type Client = ReturnType<typeof newClient>;

/** Why Redis cannot be used; one line. */
export class RedisOpenError extends Error {
  override readonly name = 'RedisOpenError';
}

export class RedisConnection implements AsyncDisposable {
  readonly #commands: Client;
  readonly #listening: Client;
  readonly #prefix: string;
  readonly #reconnected = new Set<() => void>();
  #problem: string | undefined;

  private constructor(commands: Client, listening: Client, prefix: string, onAway: (reason: string) => void) {
    this.#commands = commands;
    this.#listening = listening;
    this.#prefix = prefix;
    for (const client of [commands, listening]) {
      client.on('error', (error: unknown) => {
        if (this.#problem === undefined) onAway(reasonOf(error));
        this.#problem = reasonOf(error);
      });
      client.on('ready', () => {
        if (!this.ready) return;
        this.#problem = undefined;
        for (const listener of this.#reconnected) listener();
      });
    }
  }

  /**
   * @param namespace stands before every key and channel.
   * @param onAway told once whenever Redis goes away.
   * @throws {RedisOpenError}
   */
  static async open(url: string, namespace: string, onAway: (reason: string) => void = () => undefined): Promise<RedisConnection> {
    const starting = { value: true };
    const clients = [newClient(url, starting), newClient(url, starting)] as const;
    const onLost = (reason: string) => {
      if (!starting.value) onAway(reason);
    };
    const connection = new RedisConnection(...clients, `courier:{${namespace}}:`, onLost);
    try {
      await Promise.all(clients.map((client) => client.connect()));
    } catch (error) {
      await connection[Symbol.asyncDispose]();
      throw new RedisOpenError(`Redis at ${URL.parse(url)?.host} cannot be used: ${reasonOf(error)}`, { cause: error });
    }
    starting.value = false;
    return connection;
  }

  get ready(): boolean {
    return this.#commands.isReady && this.#listening.isReady;
  }

  /** Why it is away; undefined when it is not. */
  get problem(): string | undefined {
    return this.ready ? undefined : (this.#problem ?? 'it is connecting');
  }

  key(name: string): string {
    return this.#prefix + name;
  }

  /** Sends a command. Rejects when Redis is away or does not answer in time. */
  async send<T>(args: readonly string[]): Promise<T> {
    if (!this.#commands.isReady) throw new Error('Redis is away');
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`Redis took longer than ${COMMAND_MS} ms`)), COMMAND_MS);
    });
    try {
      return (await Promise.race([this.#commands.sendCommand([...args]), late])) as T;
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param listener is given each message as the JSON object that it is; undefined for one that is none. */
  async subscribe(channel: string, listener: (message: object | undefined) => void): Promise<void> {
    await this.#listening.subscribe(this.key(channel), (text) => listener(parsed(text)));
  }

  /** Called whenever the connections are back after an interruption: messages may have been missed. */
  onReconnect(listener: () => void): void {
    this.#reconnected.add(listener);
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const client of [this.#commands, this.#listening]) if (client.isOpen) client.destroy();
    return Promise.resolve();
  }
}

/** @param starting while it is, a connection that cannot be made is not tried again. */
function newClient(url: string, starting: { readonly value: boolean }) {
  return createClient({
    url,
    name: 'courier',
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_WAITING,
    pingInterval: PING_MS,
    maintNotifications: 'disabled',
    disableClientInfo: true,
    socket: {
      connectTimeout: CONNECT_MS,
      socketTimeout: SILENCE_MS,
      reconnectStrategy: (retries, cause) =>
        starting.value ? cause : Math.min(50 * 2 ** retries, MAX_PAUSE_MS) * (0.5 + Math.random() / 2),
    },
  });
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return reasonOf(error.errors[0]);
  // The message of the system's errors has the address, which is nobody's business who asks for the gateway's health.
  if (error instanceof Error && 'syscall' in error && 'code' in error) return String(error.code);
  return error instanceof Error ? error.message : String(error);
}
