/** socket.io 4: one room a channel. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from 'socket.io';
import { serveContender } from '../contender.ts';

await serveContender(async () => {
  const http = createServer();
  const io = new Server(http, { transports: ['websocket'], perMessageDeflate: false, serveClient: false });
  io.on('connection', (socket) => {
    socket.on('join', (channel: string) => {
      void socket.join(channel);
      socket.emit('ready');
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  let seq = 0;
  return {
    port: (http.address() as AddressInfo).port,
    publish: (events) => {
      for (const event of events) io.to(event.channel).emit('event', { id: `e-${++seq}`, ...event });
    },
  };
});
