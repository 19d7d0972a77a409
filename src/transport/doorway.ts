/** Before a connection is somebody's: which browsers may come, and how many connections of one address may wait. */
import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';

export interface DoorwayOptions {
  /** Origins of browsers, beyond the host that they were asked to. */
  readonly allowedOrigins: readonly string[];
  /** Connections of one address that have not authenticated; no limit when null. */
  readonly unauthenticatedPerAddress: number | null;
}

/** Behind a proxy this is the proxy's. */
export function addressOf(req: IncomingMessage): string {
  return req.socket.remoteAddress ?? 'unknown';
}

export class Doorway {
  readonly #options: DoorwayOptions;
  readonly #waiting = new Map<string, Set<IncomingMessage>>();

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
    return most === null || (this.#waiting.get(addressOf(req))?.size ?? 0) < most;
  }

  /** Counts the connection until it is authenticated or closed. */
  enter(req: IncomingMessage, ws: WebSocket): void {
    const address = addressOf(req);
    const waiting = this.#waiting.get(address) ?? new Set();
    this.#waiting.set(address, waiting.add(req));
    ws.once('close', () => this.#leave(address, req));
  }

  /** The connection is somebody's. */
  pass(req: IncomingMessage): void {
    this.#leave(addressOf(req), req);
  }

  #leave(address: string, req: IncomingMessage): void {
    const waiting = this.#waiting.get(address);
    waiting?.delete(req);
    if (waiting?.size === 0) this.#waiting.delete(address);
  }
}
