/** Plain `ws` connections by channel, which is the path that they ask for. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';

export interface Member {
  readonly ws: WebSocket;
  readonly socket: Duplex;
}

export async function startRooms(): Promise<{ port: number; rooms: ReadonlyMap<string, ReadonlySet<Member>> }> {
  const rooms = new Map<string, Set<Member>>();
  const server = createServer();
  const wss = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  server.on('upgrade', (req, socket, head) => {
    wss.handleUpgrade(req, socket, head, (ws) => {
      const channel = (req.url ?? '/').slice(1);
      const member = { ws, socket };
      const room = rooms.get(channel) ?? new Set();
      rooms.set(channel, room.add(member));
      ws.on('error', () => undefined);
      ws.on('close', () => room.delete(member));
      ws.send('ready');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, rooms };
}
