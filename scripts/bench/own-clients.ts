/** The process of a service that publishes with the TypeScript client: asked how fast it does, and what that costs it. */
import { setTimeout as wait } from 'node:timers/promises';
import { BackgroundPublisher, CourierClient } from '../../client/src/index.ts';
import { DRAFT } from './publishers.ts';

export interface ClientQuestion {
  readonly way: 'publish' | 'background';
  readonly port: number;
  readonly token: string;
  /** Publishes under way at any moment; in the background, events that wait. */
  readonly inFlight: number;
  readonly seconds: number;
}
export type ClientAnswer =
  | { readonly kind: 'ready' }
  /** What was acknowledged, in which time, and the CPU time of this process, user and system. */
  | { readonly kind: 'published'; readonly acks: number; readonly seconds: number; readonly cpuMicros: number }
  | { readonly kind: 'failed'; readonly reason: string };

const FLUSH_MS = 20_000;

let client: CourierClient | undefined;

async function answer({ way, port, token, inFlight, seconds }: ClientQuestion): Promise<ClientAnswer> {
  client ??= new CourierClient({ url: `http://127.0.0.1:${port}`, token });
  const before = process.cpuUsage();
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  const acks = way === 'publish' ? await publishDirectly(client, inFlight, endsAt) : await publishBehind(client, inFlight, endsAt);
  const { user, system } = process.cpuUsage(before);
  return { kind: 'published', acks, seconds: (performance.now() - startedAt) / 1000, cpuMicros: user + system };
}

async function publishDirectly(courier: CourierClient, inFlight: number, endsAt: number): Promise<number> {
  let acks = 0;
  const publisher = async () => {
    while (performance.now() < endsAt) {
      await courier.publish(DRAFT.channel, DRAFT.type, DRAFT.data);
      acks += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, publisher));
  return acks;
}

/** Keeps so many events waiting. */
async function publishBehind(courier: CourierClient, waiting: number, endsAt: number): Promise<number> {
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  const publisher = new BackgroundPublisher(courier, { maxQueued: waiting, onError: (error) => failed.reject(error) });
  while (performance.now() < endsAt) {
    for (let free = waiting - publisher.counts.pending; free > 0; free -= 1) publisher.submit(DRAFT);
    await Promise.race([wait(1), failed.promise]);
  }
  await publisher.close({ timeoutMs: FLUSH_MS });
  return publisher.counts.published;
}

process.on('message', (question: ClientQuestion) => {
  answer(question).then(
    (result) => process.send?.(result),
    (error: Error) => process.send?.({ kind: 'failed', reason: error.message } satisfies ClientAnswer),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ kind: 'ready' } satisfies ClientAnswer);
