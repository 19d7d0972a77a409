/** Plain `ws`: a ready string to each socket by `send`. */
import { serveContender } from '../contender.ts';
import { startRooms } from './ws-rooms.ts';

await serveContender(async () => {
  const { port, rooms } = await startRooms();
  let seq = 0;
  return {
    port,
    publish: (events) => {
      for (const event of events) {
        const text = JSON.stringify({ id: `e-${++seq}`, ...event });
        for (const { ws } of rooms.get(event.channel) ?? []) ws.send(text);
      }
    },
  };
});
