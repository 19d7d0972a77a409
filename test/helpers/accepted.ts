/** The server's ends of the sockets of this process: how much of what a client wrote was read. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

/** What Node reads at once, twice, and a request: what a socket that is not to be read has been read at most. */
export const MAX_STRANGER_BYTES = 2 * 64 * 1024 + 1024;

/** Notes sockets as they are accepted, until the end of the scope. Tells the server's end of a client's socket. */
export function watchAccepted(): Disposable & { readonly of: (client: Socket) => Socket | undefined } {
  const accepted: Socket[] = [];
  const note = (message: unknown) => void accepted.push((message as { socket: Socket }).socket);
  subscribe('net.server.socket', note);
  return {
    of: (client) => accepted.find(({ remotePort }) => remotePort === client.localPort),
    [Symbol.dispose]: () => void unsubscribe('net.server.socket', note),
  };
}
