/** Services that answer each other's events make one piece of work, which the client reads as it is. */
import { expect, test } from 'vitest';
import { CourierClient } from '../../client/src/index.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { jobCompleted, progressOf } from '../helpers/samples.ts';

const METRICS = { total_return: 0.1, max_drawdown: 0.05, trades: 3 };

async function clientOf(gateway: TestGateway, sub: string, role: 'service' | 'admin' | 'user', subscribe: readonly string[] = []) {
  return new CourierClient({ url: gateway.url, token: await gateway.token(sub, role, { subscribe: [...subscribe] }) });
}

test('what Prophet proposes, Cartographe tests and Chevalier trades is one piece of work, from any of its events', async () => {
  await using gateway = await startGateway();
  await using forge = await clientOf(gateway, 'forge', 'service');
  await using prophet = await clientOf(gateway, 'prophet', 'service');
  await using cartographe = await clientOf(gateway, 'cartographe', 'service');
  await using chevalier = await clientOf(gateway, 'chevalier', 'service');
  const traded = Promise.withResolvers<void>();
  await prophet.subscribe('forge.job.*', () => prophet.publish('strategy.s1', 'strategy.generation.completed', { strategy_id: 's1' }), {
    types: ['forge.job.started'],
  }).live;
  await cartographe.subscribe(
    'strategy.*',
    async ({ data: { strategy_id } }) => {
      await cartographe.publish('backtest.b1', 'backtest.started', { backtest_id: 'b1', strategy_id });
      await cartographe.publish('backtest.b1', 'backtest.completed', { backtest_id: 'b1', strategy_id, metrics: METRICS });
    },
    { types: ['strategy.generation.completed'] },
  ).live;
  await chevalier.subscribe(
    'backtest.*',
    async () => {
      const data = { order_id: 'o1', symbol: 'SPX', side: 'buy', order_type: 'market', quantity: '1' } as const;
      await chevalier.publish('strategy.s1', 'order.placed', data).then(() => traded.resolve(), traded.reject);
    },
    { types: ['backtest.completed'] },
  ).live;
  await forge.publish('forge.job.other', 'forge.job.started', { job_id: 'other', kind: 'k' }, { correlationId: 'another' });
  await traded.promise;
  await using admin = await clientOf(gateway, 'ada', 'admin');
  const work = await admin.trace({ correlationId: 'another' });
  const [job, proposed, started, tested] = work.steps.map(({ event }) => event.id);
  expect(work).toMatchObject({ correlationId: 'another', hidden: 0, isPartial: false });
  expect(
    work.steps.map(({ event: { type, metadata } }) => [type, metadata.source, metadata.correlation_id, metadata.causation_id]),
  ).toEqual([
    ['forge.job.started', 'forge', 'another', undefined],
    ['strategy.generation.completed', 'prophet', 'another', job],
    ['backtest.started', 'cartographe', 'another', proposed],
    ['backtest.completed', 'cartographe', 'another', proposed],
    ['order.placed', 'chevalier', 'another', tested],
  ]);
  for (const [index, { event, storedAt, afterCauseMs }] of work.steps.entries()) {
    expect([event.metadata.timestamp, storedAt]).toEqual([expect.any(Date), expect.any(Date)]);
    expect(afterCauseMs).toEqual(index === 0 ? null : expect.any(Number));
  }
  for (const id of [job, started]) expect(await admin.trace({ id: id as string })).toEqual(work);
  // Whoever may read a part of it is told how much more there is.
  await using user = await clientOf(gateway, 'eve', 'user', ['backtest.*']);
  const part = await user.trace({ id: started as string }, { timeoutMs: 10_000 });
  expect(part).toEqual({ ...work, steps: work.steps.slice(2, 4), hidden: 3 });
});

test('all pages are read', async () => {
  await using gateway = await startGateway();
  await using client = await clientOf(gateway, 'ada', 'admin');
  const { id } = await client.publish('backtest.b1', 'backtest.progress', progressOf());
  const large = jobCompleted({ text: 'x'.repeat(90 * 1024) });
  const ids = [id];
  // More than a page has of bytes, and then of steps.
  for (let n = 0; n < 30; n += 1)
    ids.push(...(await client.publishBatch([{ ...large, metadata: { causation_id: id } }])).map((stored) => stored.id));
  const small = { channel: 'backtest.b1', type: 'backtest.progress', data: progressOf(), metadata: { correlation_id: id } } as const;
  for (let n = 0; n < 3; n += 1)
    ids.push(...(await client.publishBatch(Array.from({ length: 400 }, () => small))).map((stored) => stored.id));
  const work = await client.trace({ id });
  expect(work.steps.map(({ event }) => event.id)).toEqual(ids);
  expect(work).toMatchObject({ correlationId: id, hidden: 0, isPartial: false });
});

test('what cannot be read, and what is no piece of work, is told', async () => {
  await using gateway = await startGateway();
  await using client = await clientOf(gateway, 'ada', 'admin');
  expect(await client.trace({ correlationId: 'nobody' })).toEqual({ correlationId: 'nobody', steps: [], hidden: 0, isPartial: false });
  await expect(client.trace({ id: 'another-1' })).rejects.toMatchObject({ code: 'NOT_FOUND', retryable: false });
  await expect(client.trace({ id: 'a b' })).rejects.toMatchObject({ code: 'BAD_REQUEST', issues: [{ path: 'id' }] });
  await expect(client.trace({ correlationId: 'a b' })).rejects.toMatchObject({ code: 'BAD_REQUEST', issues: [{ path: 'correlationId' }] });
  for (const of of [{}, { id: 'a-1', correlationId: 'run' }]) {
    const message = 'id: give an id or a correlationId';
    await expect(client.trace(of as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message });
  }
  const stopped = AbortSignal.abort(new Error('its own'));
  await expect(client.trace({ correlationId: 'run' }, { signal: stopped })).rejects.toThrow('its own');
  await client.close();
  await expect(client.trace({ correlationId: 'run' })).rejects.toMatchObject({ code: 'CLOSED' });
});
