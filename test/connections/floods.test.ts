/** Clients that write without end and read nothing: what they cost a gateway has a bound, and others are served. */
import { expect, test } from 'vitest';
import { httpClient } from '../helpers/gateway.ts';
import { type Peer, pingFrame, textFrame } from '../helpers/peer.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { copies, jobCompleted } from '../helpers/samples.ts';
import { plainWebSocket, type TransportDriver, trpcWebSocket } from '../helpers/transports.ts';

const FLOOD_BYTES = 16e6;

/** What a flood may cost, in bytes. */
interface Bounds {
  /** What waits for the client: the high-water mark, and the answers to what was running. */
  readonly unsent: number;
  /** Memory, and what is not collected yet. */
  readonly grown: number;
}
const SMALL: Bounds = { unsent: 300_000, grown: 100e6 };
/** Sixteen pages of history, as objects, texts and frames. */
const PAGES: Bounds = { unsent: 100e6, grown: 300e6 };

const history = (id: number) =>
  textFrame({ id, method: 'query', params: { path: 'events.history', input: { json: { channels: ['**'], limit: 1000 } } } });

const FLOODS: [what: string, driver: TransportDriver, frame: (index: number) => Buffer, most: Bounds][] = [
  ['PING frames', trpcWebSocket, () => pingFrame('x'.repeat(125)), SMALL],
  ['PING frames', plainWebSocket, () => pingFrame('x'.repeat(125)), SMALL],
  ['PING texts', trpcWebSocket, () => textFrame('PING'), SMALL],
  ['texts', plainWebSocket, () => textFrame('x'.repeat(1000)), SMALL],
  ['calls with large answers', trpcWebSocket, history, PAGES],
];

test.each(FLOODS.map((flood) => ({ what: flood[0], over: flood[1].name, flood })))(
  '$what over $over, by one that never reads',
  async ({ flood: [, { subscribe }, frame, most] }) => {
    await using gateway = await startProcess({ COURIER_LOG: 'memory:', NODE_OPTIONS: '--max-old-space-size=128' });
    const port = Number(new URL(gateway.url).port);
    const { events, auth } = httpClient(gateway.url, await processToken('forge', 'service'));
    const result = { text: 'x'.repeat(9000) };
    const draft = jobCompleted(result);
    for (let batch = 0; batch < 5; batch += 1) await events.publishBatch.mutate(copies(90, draft));
    await using peer = subscribe(port, { token: await processToken('flooder', 'service') });
    await peer.live();
    const before = gateway.peakRssBytes();
    peer.pause();
    await writeAll(peer, frame, async () => {
      expect(await auth.whoami.query()).toMatchObject({ sub: 'forge' });
    });
    expect(gateway.peakRssBytes() - before).toBeLessThan(most.grown);
    const { admin } = httpClient(gateway.url, await processToken('root', 'admin'));
    const { connections } = await admin.connections.query({ sub: 'flooder' });
    expect(connections[0]?.buffered_bytes ?? 0).toBeLessThan(most.unsent);
  },
);

/** Writes until all of it is written, or the gateway reads no more while it answers others a hundred times. */
async function writeAll(peer: Peer, frame: (index: number) => Buffer, askBeside: () => Promise<void>): Promise<void> {
  let written = 0;
  for (let index = 0; written < FLOOD_BYTES && !peer.isGone; ) {
    const frames: Buffer[] = [];
    for (let bytes = 0; bytes < 1e6; index += 1) {
      const next = frame(index);
      frames.push(next);
      bytes += next.length;
    }
    peer.write(...frames);
    written += 1e6;
    let asked = 0;
    do {
      await askBeside();
      asked += 1;
    } while (peer.socket.writableNeedDrain && asked < 100 && !peer.isGone);
    if (peer.socket.writableNeedDrain) return;
  }
}
