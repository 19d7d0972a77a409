/** What callers of streams do wrong is no failure of the gateway's, and nobody is told of it as one. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { startGateway } from '../helpers/gateway.ts';

test('input that is not JSON is answered as a mistake', async () => {
  const failures: unknown[] = [];
  await using gateway = await startGateway({}, {}, { onError: (error) => failures.push(error) });
  const authorization = `Bearer ${await gateway.token('root', 'admin')}`;
  const response = await fetch(`${gateway.url}/trpc/events.subscribe?input=%7B`, { headers: { authorization } });
  expect(await response.text()).toContain('"code":"PARSE_ERROR"');
  expect(failures).toEqual([]);
});

test('a client that goes before its stream has begun has gone', async () => {
  const failures: unknown[] = [];
  {
    await using gateway = await startGateway({}, {}, { onError: (error) => failures.push(error) });
    const token = await gateway.token('root', 'admin');
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`;
    const client = connect(gateway.port, '127.0.0.1');
    // The second waits for the first to end.
    client.write(get('/sse/global').repeat(2));
    await once(client, 'data');
    client.resetAndDestroy();
  }
  expect(failures).toEqual([]);
});
