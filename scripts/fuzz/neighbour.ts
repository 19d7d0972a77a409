/** Somebody beside the fuzzer's inputs, who publishes and receives as if nothing were the matter. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { LATE_CHANNEL } from './messages.ts';
import { GOOD_TOKEN } from './tokens.ts';

const PATIENCE_MS = 5000;
const HEADERS = { authorization: `Bearer ${GOOD_TOKEN}`, 'content-type': 'application/json' };

export interface Neighbour extends AsyncDisposable {
  /** @throws when an event is not stored, or not received. */
  beat(): Promise<void>;
  /** @throws when something is stored that came too early, too late, or not as a whole. */
  lookForLate(): Promise<void>;
}

export async function startNeighbour(url: string): Promise<Neighbour> {
  const ws = new WebSocket(`${url.replace('http', 'ws')}/ws/forge.job.heartbeat?token=${GOOD_TOKEN}`);
  const closed = once(ws, 'close').then(([code]) => Promise.reject(new Error(`the subscriber beside was closed with ${code}`)));
  closed.catch(() => undefined);
  await once(ws, 'message');
  return {
    beat: async () => {
      const kind = randomBytes(8).toString('hex');
      const received = untilReceived(ws, kind);
      await Promise.all([publish(url, kind), Promise.race([received, closed])]);
    },
    lookForLate: async () => {
      const response = await fetch(`${url}/events/${LATE_CHANNEL}`, { headers: HEADERS });
      const { events } = (await response.json()) as { events: unknown[] };
      if (events.length > 0) throw new Error(`acted on out of time: ${JSON.stringify(events[0])}`);
    },
    [Symbol.asyncDispose]: async () => {
      ws.terminate();
      await closed.catch(() => undefined);
    },
  };
}

async function publish(url: string, kind: string): Promise<void> {
  const body = JSON.stringify({ type: 'forge.job.started', data: { job_id: 'heartbeat', kind } });
  const response = await fetch(`${url}/publish/forge.job.heartbeat`, { method: 'POST', headers: HEADERS, body });
  await response.arrayBuffer();
  if (response.status !== 201) throw new Error(`a publish beside was answered with ${response.status}`);
}

function untilReceived(ws: WebSocket, kind: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      clearTimeout(timer);
      ws.off('message', onMessage);
      end();
    };
    const onMessage = (data: unknown) => {
      if (String(data).includes(kind)) settle(resolve);
    };
    const timer = setTimeout(() => settle(() => reject(new Error('the subscriber beside did not get its event'))), PATIENCE_MS);
    ws.on('message', onMessage);
  });
}
