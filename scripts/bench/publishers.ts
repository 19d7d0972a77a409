/** Publishers: a number of publishes in flight at any moment, over one of three transports, and how long each took. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { quantileOf, sortedOf } from './quantiles.ts';
import { RawSocket } from './raw-socket.ts';

export const TRANSPORTS = ['tRPC WebSocket', 'tRPC batch', 'plain HTTP'] as const;
export type Transport = (typeof TRANSPORTS)[number];

export interface PublishQuestion {
  readonly kind: 'publish';
  readonly transport: Transport;
  readonly port: number;
  readonly token: string;
  /** Events in flight. */
  readonly inFlight: number;
  readonly seconds: number;
}
export interface PublishAnswer {
  readonly kind: 'published';
  readonly acks: number;
  readonly acksPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Connections over which the publishes in flight are spread, at most. */
const SOCKETS = 8;
/** Calls in one request of the batch link. */
const BATCH = 10;

export const DRAFT = {
  type: 'forge.job.progress',
  channel: 'forge.job.bench',
  data: { job_id: 'bench', progress: 0.5, step: 'measuring', message: 'x'.repeat(150) },
} as const;

class Record {
  readonly latencies: number[] = [];
  readonly #endsAt: number;

  constructor(seconds: number) {
    this.#endsAt = performance.now() + seconds * 1000;
  }

  get over(): boolean {
    return performance.now() >= this.#endsAt;
  }

  answer(seconds: number): PublishAnswer {
    const sorted = sortedOf(this.latencies);
    return {
      kind: 'published',
      acks: sorted.length,
      acksPerSecond: sorted.length / seconds,
      p50Ms: quantileOf(sorted, 0.5),
      p99Ms: quantileOf(sorted, 0.99),
      maxMs: quantileOf(sorted, 1),
    };
  }
}

export async function publish(question: PublishQuestion): Promise<PublishAnswer> {
  const record = new Record(question.seconds);
  const startedAt = performance.now();
  if (question.transport === 'tRPC WebSocket') await overWebSocket(question, record);
  else await overHttp(question, record);
  return record.answer((performance.now() - startedAt) / 1000);
}

async function overWebSocket({ port, token, inFlight }: PublishQuestion, record: Record): Promise<void> {
  const count = Math.min(SOCKETS, inFlight);
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const window = Math.floor(inFlight / count) + (index < inFlight % count ? 1 : 0);
      const sentAt = new Map<number, number>();
      const done = Promise.withResolvers<void>();
      let id = 0;
      const send = () => {
        id += 1;
        sentAt.set(id, performance.now());
        socket.send(`{"id":${id},"method":"mutation","params":{"path":"events.publish","input":{"json":${JSON.stringify(DRAFT)}}}}`);
      };
      const socket = await RawSocket.open({
        port,
        path: '/trpc?connectionParams=1',
        counter: { frames: 0 },
        hello: [JSON.stringify({ method: 'connectionParams', data: { token } })],
        answer: (text) => {
          const answered = Number(/^\{"id":(\d+),"result"/.exec(text)?.[1]);
          const at = sentAt.get(answered);
          if (at === undefined) done.reject(new Error(text));
          else {
            record.latencies.push(performance.now() - at);
            sentAt.delete(answered);
          }
          if (!record.over) send();
          else if (sentAt.size === 0) done.resolve();
          return undefined;
        },
      });
      for (let n = 0; n < window; n += 1) send();
      await done.promise;
      socket.close();
    }),
  );
}

/** One request in flight a connection. */
async function overHttp({ transport, port, token, inFlight }: PublishQuestion, record: Record): Promise<void> {
  const calls = transport === 'tRPC batch' ? Math.min(BATCH, inFlight) : 1;
  const path = transport === 'tRPC batch' ? `/trpc/${Array(calls).fill('events.publish').join(',')}?batch=1` : '/publish';
  const body =
    transport === 'tRPC batch'
      ? JSON.stringify(Object.fromEntries(Array.from({ length: calls }, (_, index) => [index, { json: DRAFT }])))
      : JSON.stringify(DRAFT);
  const request = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  await Promise.all(
    Array.from({ length: Math.max(1, Math.floor(inFlight / calls)) }, async () => {
      const socket = connect(port, '127.0.0.1');
      socket.setNoDelay(true);
      await once(socket, 'connect');
      const ended = once(socket, 'close').then(() => Promise.reject(new Error('the connection was closed')));
      ended.catch(() => undefined);
      while (!record.over) {
        const sentAt = performance.now();
        socket.write(request);
        await Promise.race([answered(socket), ended]);
        const took = performance.now() - sentAt;
        for (let call = 0; call < calls; call += 1) record.latencies.push(took);
      }
      socket.destroy();
    }),
  );
}

/** Resolves when one answer has come, whose body's length is in its header or whose last chunk is empty. */
function answered(socket: ReturnType<typeof connect>): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = /content-length: (\d+)/i.exec(text.slice(0, end))?.[1];
      if (length === undefined ? !text.endsWith('0\r\n\r\n') : text.length < end + 4 + Number(length)) return;
      socket.off('data', onData);
      if (/^HTTP\/1\.1 20[01]/.test(text)) resolve();
      else reject(new Error(text));
    };
    socket.on('data', onData);
  });
}
