/** Keys that the runtime confuses with others arrive as they were sent, on every way in and out. */
import { expect, test } from 'vitest';
import { clientOf, startGateway, stranger, type TestGateway, worker } from '../helpers/trade.ts';
import { TRANSPORTS } from '../helpers/transports.ts';

/** Each key behind one of its own, where whoever comes first decides. */
const behind = (keys: readonly string[]) => keys.map((key, index) => ({ [`key${index}`]: 0, [key]: 1 }));
/** What somebody else sends before, and is refused for: keys that begin as those of `RESULT` are written. */
const EARLIER = behind(['\\\\', 'x\\n', 'a\\"', '\\']);
const RESULT = { list: behind(['\\.', 'x\ny', 'a"b', '"']), 'a\\.b': { 'c.d': { '\\': true } } };

const draftOf = (id: string) => worker.report(RESULT, id);

async function post(gateway: TestGateway, token: string, body: unknown): Promise<number> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return (await fetch(`${gateway.url}/publish`, { method: 'POST', headers, body: JSON.stringify(body) })).status;
}

test('keys with escapes', async () => {
  await using gateway = await startGateway();
  expect(await post(gateway, await gateway.token(stranger.service, 'service'), EARLIER)).toBe(400);
  const token = await gateway.token(worker.service, 'service');
  await using socket = gateway.webSocketClient(token);
  const http = gateway.httpClient(token);
  await using client = clientOf({ url: gateway.url, token, onGap: 'fail' });

  await socket.trpc.events.publish.mutate(draftOf('a'));
  await http.events.publish.mutate(draftOf('b'));
  expect(await post(gateway, token, draftOf('c'))).toBe(201);
  const { channel, type, data } = draftOf('d');
  await client.publish(channel, type, data);

  const all = ['a', 'b', 'c', 'd'].map((id) => draftOf(id).data);
  for (const { name, subscribe } of TRANSPORTS) {
    await using peer = subscribe(gateway.port, { token, channels: worker.all, from: 'earliest' });
    await peer.until(({ events }) => events.length === 5);
    const events = peer.events.filter(({ type }) => type === worker.reported.type);
    expect(
      events.map(({ data }) => data),
      name,
    ).toEqual(all);
  }
  const received: unknown[] = [];
  const subscription = client.subscribe(worker.all, ({ data }) => void (received.push(data) === 4 && subscription.unsubscribe()), {
    from: 'earliest',
  });
  await subscription.ended;
  expect(received).toEqual(all);
  for (const trpc of [socket.trpc, http]) {
    const { events } = await trpc.events.history.query({ channels: [worker.all] });
    expect(events.map(({ data }) => data)).toEqual(all);
  }
});
