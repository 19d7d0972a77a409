/** What stock clients do on purpose: they are refused, come back, and send at once what has waited. */
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import superjson from 'superjson';
import { describe, expect, test } from 'vitest';
import type { AppRouter } from '../../src/router/index.ts';
import { collect } from '../helpers/collect.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway, type TestGateway, webSocketClient } from '../helpers/gateway.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { jobStarted } from '../helpers/samples.ts';

type Item = { id: string; data: { type: string } };

const JOB = jobStarted('k'.repeat(64));

/** A stock client that asks for a token whenever it connects. */
function clientWith(gateway: TestGateway, tokens: () => string) {
  const url = `${gateway.url.replace('http', 'ws')}/trpc`;
  const ws = createWSClient({ url, connectionParams: () => ({ token: tokens() }), retryDelayMs: () => 50 });
  const trpc = createTRPCClient<AppRouter>({ links: [wsLink({ client: ws, transformer: superjson })] });
  return { trpc, [Symbol.asyncDispose]: () => ws.close() };
}

describe('a stock client that is refused', () => {
  test('hears it of its subscription, its query and its mutation', async () => {
    await using gateway = await startGateway();
    await using client = clientWith(gateway, () => 'nonsense');
    using events = collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels: ['global'] }, observer));
    const refused = { data: { code: 'UNAUTHORIZED' } };
    await Promise.all([
      expect(events.count(1)).rejects.toMatchObject(refused),
      expect(client.trpc.auth.whoami.query()).rejects.toMatchObject(refused),
      expect(client.trpc.events.publish.mutate(JOB)).rejects.toMatchObject(refused),
    ]);
  });

  test('while it resumes comes back with its next token, and misses nothing', async () => {
    await using gateway = await startGateway();
    const { admin, events: publisher } = gateway.httpClient(await gateway.token('root', 'admin'));
    // The first token is revoked, and shown once more; the last is good.
    const good = await gateway.token('ada', 'service');
    const revocable = await gateway.token('eve', 'service');
    const tokens = [revocable, revocable];
    await using client = clientWith(gateway, () => tokens.shift() ?? good);
    using events = collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels: ['forge.**'] }, observer));
    await events.count(1);
    await admin.revoke.mutate({ sub: 'eve' });
    const { id } = await publisher.publish.mutate(JOB);
    const items = await events.until((all) => all.some((item) => item.id === id && item.data.type === JOB.type));
    expect(items.filter((item) => item.data.type === JOB.type)).toHaveLength(1);
    expect(tokens).toEqual([]);
  });
});

describe('a burst of a stock client is answered:', () => {
  /** The answers to calls that are made at once; another client, who calls all the while, is answered between the first and the last. */
  async function besideAnother<T>(url: string, start: () => Promise<T>[]): Promise<T[]> {
    await using other = webSocketClient(url, await processToken('other', 'user'));
    await other.trpc.auth.whoami.query();
    let answered = 0;
    const calls = start().map(async (call) => {
      const answer = await call;
      answered += 1;
      return answer;
    });
    let inBetween = 0;
    while (answered < calls.length) {
      await Promise.race([other.trpc.auth.whoami.query(), Promise.all(calls)]);
      if (answered > 0 && answered < calls.length) inBetween += 1;
    }
    expect(inBetween).toBeGreaterThan(0);
    return Promise.all(calls);
  }

  test('1,000 publishes that waited for the connection, in one message, and others in between', async () => {
    using folder = temporaryFolder();
    await using gateway = await startProcess({ COURIER_LOG: `sqlite:${folder.file('courier.db')}` });
    await using client = webSocketClient(gateway.url, await processToken('forge', 'service'));
    const publishAll = () => Array.from({ length: 1000 }, () => client.trpc.forge.publish.mutate(JOB));
    const answers = await besideAnother(gateway.url, publishAll);
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1000);
  });

  test('60 subscriptions and 60 queries of a first render', async () => {
    await using gateway = await startGateway();
    await using client = gateway.webSocketClient(await gateway.token('forge', 'service'));
    using subscriptions = new DisposableStack();
    const subscribe = (_: unknown, index: number) => {
      const channels = [`forge.job.j${index}`];
      const events = subscriptions.use(collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels }, observer)));
      return events.count(1);
    };
    const ask = () => client.trpc.events.history.query({ channels: ['**'] });
    await Promise.all([...Array.from({ length: 60 }, subscribe), ...Array.from({ length: 60 }, ask)]);
  });

  test('40 queries of 6 KB', async () => {
    await using gateway = await startGateway();
    await using client = gateway.webSocketClient(await gateway.token('forge', 'service'));
    const channels = Array.from({ length: 90 }, (_, index) => `forge.job.${String(index).padStart(55, 'j')}`);
    const pages = await Promise.all(Array.from({ length: 40 }, () => client.trpc.events.history.query({ channels })));
    for (const page of pages) expect(page).toMatchObject({ events: [], has_more: false });
  });
});
