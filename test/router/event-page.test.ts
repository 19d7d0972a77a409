/** Pages of events as answers of tRPC: written as superjson would, and not too many in one. */
import superjson, { type SuperJSONResult } from 'superjson';
import { expect, test } from 'vitest';
import { startGateway, UNLIMITED } from '../helpers/gateway.ts';

const LARGE = { type: 'forge.job.completed', channel: 'global', data: { job_id: 'j', result: { text: 'x'.repeat(90_000) } } } as const;
/** Three such events fill a page. */
const EVENTS = 7;

async function gatewayWithEvents() {
  const gateway = await startGateway({ COURIER_LIMITS: UNLIMITED });
  const trpc = gateway.httpClient(await gateway.token('root', 'admin'));
  for (let n = 0; n < EVENTS; n += 1) await trpc.events.publish.mutate(LARGE);
  return { gateway, trpc };
}

test('a page is written as superjson would write it', async () => {
  const { gateway } = await gatewayWithEvents();
  await using _ = gateway;
  const authorization = `Bearer ${await gateway.token('root', 'admin')}`;
  for (const channel of ['global', 'user.nobody']) {
    const input = encodeURIComponent(JSON.stringify({ json: { channels: [channel] } }));
    const response = await fetch(`${gateway.url}/trpc/events.history?input=${input}`, { headers: { authorization } });
    const { result } = (await response.json()) as { result: { data: SuperJSONResult } };
    const page: unknown = superjson.deserialize(structuredClone(result.data));
    expect(result.data).toEqual(JSON.parse(superjson.stringify(page)));
  }
});

test('a page ends where it is large enough, and the next one goes on', async () => {
  const { gateway, trpc } = await gatewayWithEvents();
  await using _ = gateway;
  const pages: string[][] = [];
  for (let [after, hasMore] = [undefined as string | undefined, true]; hasMore; ) {
    const page = await trpc.events.history.query({ channels: ['global'], limit: 1000, after });
    pages.push(page.events.map(({ id }) => id));
    [after, hasMore] = [page.next, page.has_more];
  }
  expect(pages.map(({ length }) => length)).toEqual([3, 3, 1]);
  expect(new Set(pages.flat()).size).toBe(EVENTS);
});

test('a batch over HTTP has room for some pages; the others are refused', async () => {
  const { gateway, trpc } = await gatewayWithEvents();
  await using _ = gateway;
  const answers = await Promise.allSettled(
    Array.from({ length: 5 }, () => trpc.events.history.query({ channels: ['global'], limit: 1000 })),
  );
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected', 'rejected']);
  expect(answers[4]).toMatchObject({ reason: { data: { code: 'PAYLOAD_TOO_LARGE' } } });
});

test('each call over a WebSocket has an answer of its own', async () => {
  const { gateway } = await gatewayWithEvents();
  await using _ = gateway;
  await using client = gateway.webSocketClient(await gateway.token('root', 'admin'));
  const pages = await Promise.all(Array.from({ length: 5 }, () => client.trpc.events.history.query({ channels: ['global'], limit: 1000 })));
  expect(pages.map(({ events }) => events.length)).toEqual([3, 3, 3, 3, 3]);
});
