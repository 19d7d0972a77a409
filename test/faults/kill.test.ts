/** SIGKILL while publishing: every acknowledged event is stored and received once, in order. */
import { expect, test } from 'vitest';
import { collect } from '../helpers/collect.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { httpClient, webSocketClient } from '../helpers/gateway.ts';
import { type GatewayProcess, processToken, startProcess } from '../helpers/process.ts';

type Item = { id: string; data: { type: string } };
const ROUNDS = 3;
const ACKS_BEFORE_KILL = 200;
const IN_FLIGHT = 16;

test('an acknowledged event survives the gateway being killed, and a resumed subscriber gets it once', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
  const token = await processToken('forge', 'service');
  const acknowledged: string[] = [];
  const received: string[] = [];
  let lastEventId: string | undefined;
  for (let round = 0; round < ROUNDS; round += 1) {
    await using gateway = await startProcess(env);
    await using client = webSocketClient(gateway.url, token);
    using subscription = collect<Item>((observer) =>
      client.trpc.events.subscribe.subscribe({ channels: ['forge.**'], from: 'earliest', ...(lastEventId && { lastEventId }) }, observer),
    );
    await subscription.until((items) => items.some(({ data }) => data.type === 'courier.live'));
    await publishUntilKilled(gateway, token, acknowledged);
    received.push(...eventIds(subscription.items));
    lastEventId = subscription.items.at(-1)?.id ?? lastEventId;
  }
  await using gateway = await startProcess(env);
  await using client = webSocketClient(gateway.url, token);
  using rest = collect<Item>((observer) =>
    client.trpc.events.subscribe.subscribe({ channels: ['forge.**'], ...(lastEventId && { lastEventId }) }, observer),
  );
  await rest.until((items) => items.some(({ data }) => data.type === 'courier.live'));
  received.push(...eventIds(rest.items));

  const seqs = received.map((id) => Number(id.split('-')[1]));
  expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, index) => index + 1));
  expect(acknowledged.length).toBeGreaterThanOrEqual(ROUNDS * ACKS_BEFORE_KILL);
  const all = new Set(received);
  expect(acknowledged.filter((id) => !all.has(id))).toEqual([]);
});

function eventIds(items: readonly Item[]): string[] {
  return items.filter(({ data }) => !data.type.startsWith('courier.')).map(({ id }) => id);
}

async function publishUntilKilled(gateway: GatewayProcess, token: string, acknowledged: string[]): Promise<void> {
  const trpc = httpClient(gateway.url, token);
  let acks = 0;
  const publisher = async () => {
    try {
      for (;;) {
        const data = { job_id: 'j1', progress: 0.5 };
        const { id } = await trpc.forge.publish.mutate({ type: 'forge.job.progress', channel: 'forge.job.j1', data });
        acknowledged.push(id);
        acks += 1;
        if (acks === ACKS_BEFORE_KILL) gateway.child.kill('SIGKILL');
      }
    } catch {
      // The gateway is gone; what was in flight is neither known to be stored nor known not to be.
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, publisher));
  await gateway.end('SIGKILL');
}
