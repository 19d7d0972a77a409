/**
 * How many sockets there is room for: the process may have so many descriptors open, of which the log, its servers and the
 * answer to a health check need some. The gateway tells clients beyond that to come back, and answers their health checks only.
 */
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Logger } from '../observe/logger.ts';
import { Outage } from '../observe/outage.ts';

/** Descriptors for everything else than sockets of clients, beside those that are open when it begins. */
const RESERVED_DESCRIPTORS = 48;
/** Sockets that may be open beyond the room: the newest of them, each for one answer. */
const MAX_SPARE_SOCKETS = 16;
/** The part of the room that has to be free again before the log tells again that it runs out. */
const FREE_AGAIN = 0.1;

export class SocketRoom {
  readonly #most: number;
  readonly #logger: Logger;
  readonly #inside = new Set<Socket>();
  /** Oldest first. */
  readonly #spare = new Set<Socket>();
  readonly #outage: Outage;

  /** @param descriptors that the process may have open; as the system says when absent. */
  constructor(logger: Logger, descriptors = maxDescriptors()) {
    this.#logger = logger;
    this.#outage = new Outage({ logger, goesOn: 'still running out of descriptors', over: 'descriptors are free again' });
    this.#most = Math.max(MAX_SPARE_SOCKETS, descriptors - openDescriptors() - RESERVED_DESCRIPTORS - MAX_SPARE_SOCKETS);
  }

  /** Why there is no room for more clients; undefined while there is. */
  get problem(): string | undefined {
    if (!this.#outage.isOn) return undefined;
    return `there are descriptors for ${this.#most} sockets, and all are taken: raise the limit of open files (ulimit -n, LimitNOFILE), or add instances`;
  }

  /** Takes a socket that has come. */
  enter(socket: Socket): void {
    const set = this.#inside.size < this.#most ? this.#inside : this.#spare;
    set.add(socket);
    socket.once('close', () => this.#leave(socket, set));
    if (set !== this.#spare) return;
    if (this.#outage.meet()) this.#logger.warn('running out of descriptors', { action: this.problem });
    if (this.#spare.size <= MAX_SPARE_SOCKETS) return;
    const [oldest] = this.#spare;
    oldest?.destroy();
  }

  /** Whether there was room for it: else it is answered with SERVICE_UNAVAILABLE, but for a health check. */
  has(socket: Socket): boolean {
    return !this.#spare.has(socket);
  }

  #leave(socket: Socket, set: Set<Socket>): void {
    set.delete(socket);
    if (this.#inside.size <= this.#most * (1 - FREE_AGAIN)) this.#outage.end();
  }
}

/** Of this process. Node.js has raised its limit as far as it may. */
function maxDescriptors(): number {
  // Else it looks up the names of all addresses.
  Object.assign(process.report, { excludeNetwork: true });
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | 'unlimited' } } };
  const soft = userLimits?.open_files?.soft;
  return typeof soft === 'number' ? soft : Number.POSITIVE_INFINITY;
}

/** Where the system tells. */
function openDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}
