/**
 * The limit: the same bytes that Courier sends, each frame built once, all frames of a turn in one buffer, one write of
 * it to each socket; and nothing else.
 */
import { textFrames } from '../../../src/transport/web-socket-writer.ts';
import { serveContender } from '../contender.ts';
import { startRooms } from './ws-rooms.ts';

/** What superjson adds, so that the client makes a Date of the timestamp. */
const TIMESTAMP_IS_DATE = '"meta":{"values":{"data.metadata.timestamp":["Date"]},"v":1}';

await serveContender(async () => {
  const { port, rooms } = await startRooms();
  let seq = 0;
  return {
    port,
    publish: (events) => {
      const byChannel = new Map<string, Buffer[]>();
      for (const event of events) {
        const id = `9gcxylzg4fdd-${++seq}`;
        const result = `{"type":"data","data":{"json":{"id":"${id}","data":${JSON.stringify({ id, ...event })}},${TIMESTAMP_IS_DATE}},"id":"${id}"}`;
        const frame = textFrames([`{"id":1,"result":${result}}`]);
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
