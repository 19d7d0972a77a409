/** Publishing to the clients of a suite, as somebody else. */
import type { TestGateway } from '../../helpers/gateway.ts';
import { copies } from '../../helpers/samples.ts';

/** Publishes so many events of about so many characters, a hundred at a time. Resolves to their ids. */
export async function publish(gateway: TestGateway, count: number, characters = 10): Promise<string[]> {
  const { events } = gateway.httpClient(await gateway.token('forge', 'service'));
  const data = { job_id: 'j', result: { text: 'x'.repeat(characters) } };
  const draft = { type: 'forge.job.completed', channel: 'forge.job.j', data } as const;
  const ids: string[] = [];
  while (ids.length < count) {
    const receipts = await events.publishBatch.mutate(copies(Math.min(100, count - ids.length), draft));
    ids.push(...receipts.map(({ id }) => id));
  }
  return ids;
}

/** How many events the log has. */
export async function stored(gateway: TestGateway): Promise<number> {
  return (await gateway.pipeline.log.bounds()).head;
}
