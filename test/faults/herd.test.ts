/** Everyone comes back at once: each client gets exactly what it missed, and the log is read for all of them together. */
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { processToken } from '../helpers/process.ts';
import { FOUNDATIONS } from './instances.ts';
import { EXACT, type Figures, Ledger, LONG, report } from './ledger.ts';
import { connect, startLoad } from './load.ts';

const CLIENTS = LONG ? 5000 : 500;
/** Events that the clients want, each followed by so many that they do not. */
const WANTED = 20;
const BETWEEN = 1000;
/** As in src/delivery/shared-reads.ts. */
const PAGE_ROWS = 500;

/** A plain subscriber to the wanted events, which comes back where it was. */
class Client {
  readonly received: { readonly id: string; readonly text: string }[] = [];
  readonly notices: string[] = [];
  #lastEventId: string;
  #ws: WebSocket | undefined;
  #reached: { readonly id: string; readonly resolve: () => void } | undefined;

  constructor(lastEventId: string) {
    this.#lastEventId = lastEventId;
  }

  /** Resolves when the event with this position has come. */
  async resume(url: string, token: string, until: string): Promise<void> {
    const path = `/ws/**?token=${token}&types=forge.job.completed&last_event_id=${this.#lastEventId}`;
    this.#ws = new WebSocket(url.replace('http', 'ws') + path);
    this.#ws.on('message', (data) => this.#onMessage(String(data)));
    const failed = once(this.#ws, 'close').then(([code]) => Promise.reject(new Error(`closed with ${code}`)));
    await Promise.race([this.#reaches(until), failed]);
    failed.catch(() => undefined);
  }

  async closed(): Promise<void> {
    if (this.#ws?.readyState !== WebSocket.CLOSED) await once(this.#ws as WebSocket, 'close');
  }

  terminate(): void {
    this.#ws?.terminate();
  }

  #reaches(id: string): Promise<void> {
    return new Promise((resolve) => {
      this.#reached = { id, resolve };
    });
  }

  #onMessage(message: string): void {
    const { id, type, data } = JSON.parse(message) as { id: string; type: string; data: { result: { text: string } } };
    this.#lastEventId = id;
    if (type.startsWith('courier.')) this.notices.push(type);
    else this.received.push({ id, text: data.result.text });
    if (id === this.#reached?.id) this.#reached.resolve();
  }
}

function sum(all: readonly Figures[]): Figures {
  const total = { acknowledged: 0, stored: 0, received: 0, lost: 0, duplicated: 0, reordered: 0, unknown: 0 };
  for (const one of all) for (const name of Object.keys(total) as (keyof Figures)[]) total[name] += one[name];
  return total;
}

test.for(FOUNDATIONS)(`${CLIENTS} clients resume at once: $name`, { timeout: 300_000 }, async (foundation, { task }) => {
  const token = await processToken('forge', 'service');
  await using instances = await foundation.start();
  const { urls } = instances;
  const [url] = urls as [string];
  const wanted: { id: string; text: string }[] = [];
  const publishWanted = async (count: number) => {
    await using publisher = connect(url, token);
    await using load = startLoad({ url, token, ledger: new Ledger(), inFlight: 4, batch: 50, padding: 200 });
    for (let n = 0; n < count; n += 1) {
      const text = `wanted${wanted.length}`;
      const data = { job_id: 'herd', result: { text } };
      const draft = { type: 'forge.job.completed', channel: 'forge.job.herd', data, idempotency_key: text } as const;
      const { id } = await publisher.trpc.forge.publish.mutate(draft);
      wanted.push({ id, text });
      await load.more(BETWEEN);
    }
    await load.stop();
  };
  const logReads = async () => {
    const stats = await (await fetch(`${url}/stats`, { headers: { authorization: `Bearer ${token}` } })).json();
    return (stats as { log: { reads: number } }).log.reads;
  };
  const restart = () => instances.restartAll('SIGKILL');

  await publishWanted(WANTED);
  await restart();
  // Each has seen another part of the log.
  const starts = Array.from({ length: CLIENTS }, (_, index) => index % (WANTED - 1));
  const clients = starts.map((start) => new Client(wanted[start]?.id ?? ''));
  const resumeAll = () =>
    Promise.all(clients.map((client, index) => client.resume(urls[index % urls.length] as string, token, wanted.at(-1)?.id ?? '')));
  await resumeAll();
  const spreadReads = await logReads();
  await restart();
  await Promise.all(clients.map((client) => client.closed()));
  await publishWanted(WANTED);
  await restart();
  await resumeAll();
  const togetherReads = await logReads();
  const peak = instances.process(0).peakRssBytes();
  for (const client of clients) client.terminate();

  const figures = sum(
    clients.map(({ received }, index) => {
      const ledger = new Ledger();
      const missed = wanted.slice((starts[index] as number) + 1);
      for (const { id, text } of missed) ledger.acknowledge(id, text);
      return ledger.compare(missed, received);
    }),
  );
  const pages = Math.ceil((WANTED * (BETWEEN + 1)) / PAGE_ROWS);
  report(task, 15, `${foundation.name}: ${CLIENTS} clients resume at once, twice`, {
    ...figures,
    'peak memory': `${Math.round(peak / 1e6)} MB`,
    'pages missed': pages,
    'log reads (spread positions)': spreadReads,
    'log reads (one position)': togetherReads,
  });
  expect(figures).toMatchObject({ ...EXACT, unknown: 0, received: figures.acknowledged });
  expect(clients.flatMap(({ notices }) => notices)).not.toContain('courier.gap');
  // However many clients, each instance reads each page a few times at the most.
  expect(spreadReads).toBeLessThan(pages * 4 * urls.length);
  expect(togetherReads).toBeLessThan(pages * 4 * urls.length);
});
