/**
 * The two connections to one Redis server, one for commands and one for messages: made together and lost together, so that
 * an instance publishes to the server that it hears. A link that is lost stays lost.
 */
import { createClient } from 'redis';
import { before } from '../before.ts';
import type { RedisAddress, RedisServer } from './address.ts';

/** How long it may take to be made, and to be subscribed with, in ms. */
const CONNECT_MS = 3000;
/** Commands that wait for their answers, at most. */
const MAX_WAITING_COMMANDS = 20_000;

type Client = ReturnType<typeof newClient>;

export class RedisLink implements Disposable {
  readonly #commands: Client;
  readonly #listening: Client;
  readonly #lost = new AbortController();

  private constructor(commands: Client, listening: Client) {
    this.#commands = commands;
    this.#listening = listening;
    for (const client of [commands, listening]) client.on('error', (error: unknown) => this.#lost.abort(error));
  }

  /** @throws why it could not be made; why `signal` was aborted. */
  static async open(server: RedisServer, address: RedisAddress, signal: AbortSignal): Promise<RedisLink> {
    const clients = [newClient(server, address), newClient(server, address)] as const;
    const link = new RedisLink(...clients);
    try {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]);
      await before(deadline, Promise.all(clients.map((client) => client.connect())));
      return link;
    } catch (error) {
      link[Symbol.dispose]();
      throw error;
    }
  }

  /** Aborted with the reason when it is lost, or was closed. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Sends a command. Rejects when Redis refuses it, or does not answer in time. */
  async send<T>(args: readonly string[], withinMs: number): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new DOMException(`Redis took longer than ${withinMs} ms`, 'TimeoutError')), withinMs);
    });
    try {
      return (await Promise.race([this.#commands.sendCommand([...args]), late])) as T;
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param channel with its prefix. @throws why `signal` was aborted. */
  async subscribe(channel: string, listener: (text: string) => void, signal: AbortSignal): Promise<void> {
    const deadline = AbortSignal.any([signal, this.lost, AbortSignal.timeout(CONNECT_MS)]);
    await before(deadline, this.#listening.subscribe(channel, listener));
  }

  /** Closes it; `reason` is why it is lost. */
  leave(reason: unknown): void {
    this.#lost.abort(reason);
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#lost.abort(new Error('it was closed'));
    this.#commands.destroy();
    this.#listening.destroy();
  }
}

function newClient(server: RedisServer, { credentials, database, tls }: RedisAddress) {
  return createClient({
    ...credentials,
    database,
    name: 'courier',
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_WAITING_COMMANDS,
    ...connectionOptions(server, tls, CONNECT_MS),
  });
}

/** The options of every connection, to a Sentinel too: it is what it is told to be, and a lost one stays lost. */
export function connectionOptions(server: RedisServer, tls: boolean, connectMs: number) {
  return {
    maintNotifications: 'disabled',
    disableClientInfo: true,
    socket: { ...server, ...(tls && { tls }), connectTimeout: connectMs, reconnectStrategy: false },
  } as const;
}
