/** Before a connection is somebody's: which browsers may come, and how many connections of one address may wait. */
import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';

export interface DoorwayOptions {
  /** Whose address a request counts for. */
  readonly addressOf: (req: IncomingMessage) => string;
  /** Origins of browsers, beyond the host that they were asked to. */
  readonly allowedOrigins: readonly string[];
  /** Connections of one address that have not authenticated; no limit when null. */
  readonly unauthenticatedPerAddress: number | null;
}

export class Doorway {
  readonly #options: DoorwayOptions;
  /** By address. */
  readonly #waiting = new Map<string, number>();
  /** Ends the waiting of a connection; kept no longer than its request. */
  readonly #leave = new WeakMap<IncomingMessage, () => void>();

  constructor(options: DoorwayOptions) {
    this.#options = options;
  }

  /** May a browser page of this origin use the gateway? What is no browser sends none, and may. */
  mayCome({ headers: { origin, host } }: IncomingMessage): boolean {
    return origin === undefined || this.#options.allowedOrigins.includes(origin) || URL.parse(origin)?.host === host;
  }

  /** Is there room for another connection of this address that has not authenticated? */
  hasRoom(req: IncomingMessage): boolean {
    const most = this.#options.unauthenticatedPerAddress;
    return most === null || (this.#waiting.get(this.#options.addressOf(req)) ?? 0) < most;
  }

  /** Counts the connection until it is authenticated or closed. */
  enter(req: IncomingMessage, ws: WebSocket): void {
    const address = this.#options.addressOf(req);
    this.#waiting.set(address, (this.#waiting.get(address) ?? 0) + 1);
    const leave = () => {
      ws.off('close', leave);
      const left = (this.#waiting.get(address) ?? 0) - 1;
      if (left > 0) this.#waiting.set(address, left);
      else this.#waiting.delete(address);
    };
    this.#leave.set(req, leave);
    ws.once('close', leave);
  }

  /** The connection is somebody's. */
  pass(req: IncomingMessage): void {
    this.#leave.get(req)?.();
    this.#leave.delete(req);
  }
}
