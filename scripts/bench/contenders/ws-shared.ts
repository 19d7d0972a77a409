/** The limit: each frame built once, all frames of a turn in one buffer, one write of it to each socket; nothing else. */
import { textFrame } from '../../../src/transport/socket-writer.ts';
import { serveContender } from '../contender.ts';
import { startRooms } from './ws-rooms.ts';

await serveContender(async () => {
  const { port, rooms } = await startRooms();
  let seq = 0;
  return {
    port,
    publish: (events) => {
      const byChannel = new Map<string, Buffer[]>();
      for (const event of events) {
        const frame = textFrame(JSON.stringify({ id: `e-${++seq}`, ...event }));
        const frames = byChannel.get(event.channel);
        if (frames === undefined) byChannel.set(event.channel, [frame]);
        else frames.push(frame);
      }
      for (const [channel, frames] of byChannel) {
        const bytes = frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames);
        for (const { socket } of rooms.get(channel) ?? []) socket.write(bytes);
      }
    },
  };
});
