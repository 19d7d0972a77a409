/**
 * Finds clients that are gone. A client lives when it was heard: what is written to it shows nothing. The gateway pings a
 * client that it has not heard for a while, whatever it is sending to it, and cuts it off when it stays silent. Streams of
 * server-sent events cannot answer: they are pinged for the proxies on their way.
 *
 * Silence is counted in looks, not in time: a process that was stopped for a minute has not listened for a minute.
 */
import type { Connection } from './connection.ts';

/** 30 s and 60 s, at a look every 2.5 s. */
const LOOKS_BEFORE_PING = 12;
const LOOKS_BEFORE_END = 24;
/** 15 s: proxies close what is quiet for a minute, or for half of one. */
const LOOKS_BETWEEN_COMMENTS = 6;

export class Liveness {
  readonly #lookMs: number;
  readonly #watched = new Set<Connection>();
  /** One for all, as idle connections must cost next to nothing; it runs only while there are some. */
  #timer: NodeJS.Timeout | undefined;

  constructor(lookMs: number) {
    this.#lookMs = lookMs;
  }

  get isWatching(): boolean {
    return this.#timer !== undefined;
  }

  watch(connection: Connection): void {
    this.#watched.add(connection);
    this.#timer ??= setInterval(() => this.#look(), this.#lookMs).unref();
  }

  forget(connection: Connection): void {
    this.#watched.delete(connection);
    if (this.#watched.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    for (const connection of this.#watched) if (connection.isOpen) lookAt(connection);
  }
}

function lookAt(connection: Connection): void {
  const { wire } = connection;
  if (wire === undefined) return;
  const { bytesRead, answersPings, isRead } = wire;
  const wasHeard = answersPings && (bytesRead !== connection.heardBytes || !isRead);
  connection.silentLooks = wasHeard ? 0 : connection.silentLooks + 1;
  connection.heardBytes = bytesRead;
  const { silentLooks } = connection;
  if (!answersPings) {
    if (silentLooks % LOOKS_BETWEEN_COMMENTS === 0) wire.ping();
  } else if (silentLooks === LOOKS_BEFORE_PING) wire.ping();
  else if (silentLooks >= LOOKS_BEFORE_END) wire.destroy();
}
