/** A subscription that waits for its next item keeps none that it has sent. */
import { expect, test } from 'vitest';
import { isCollected } from '../helpers/garbage.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { call } from '../helpers/trpc-scripts.ts';
import { courierServer } from '../helpers/trpc-servers.ts';

test('the last item of an iterable is collected while there is no next one', async () => {
  await using server = await courierServer();
  await using socket = await openSocket(server.url);
  socket.send(call(1, 'subscription', 'watched'));
  await socket.count(2);
  const [item] = server.stage.items;
  expect(await isCollected(item as WeakRef<object>)).toBe(true);
});
