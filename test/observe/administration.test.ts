/** What the log tells of what administrators do: a line for each change, with who made it in which request, and none for what was refused. */
import { PassThrough } from 'node:stream';
import { expect, inject, test } from 'vitest';
import { createDatabase } from '../../scripts/servers.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';

interface Line {
  readonly level: string;
  readonly logger: string;
  readonly message: string;
  readonly request_id: string;
  readonly context: Readonly<Record<string, unknown>>;
}

async function startLogged(address: string) {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk) => {
    text += String(chunk);
  });
  const logger = createLogger({ logLevel: 'info', logFormat: 'json' }, { destination: stream });
  const gateway = await startGateway({ COURIER_LOG: address }, {}, { logger });
  const of = (user: string) =>
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Line)
      .filter(({ context, message }) => context?.['user_id'] === user && message !== 'connected');
  const token = await gateway.token('root', 'admin');
  /** A call with a request id of its own. */
  const call = async (procedure: string, input: object, requestId: string) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'x-request-id': requestId };
    const answer = await fetch(`${gateway.url}/trpc/admin.${procedure}`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ json: input }),
    });
    expect(answer.status).toBe(200);
  };
  const backup = () => fetch(`${gateway.url}/backup`, { headers: { authorization: `Bearer ${token}`, 'x-request-id': 'b-1' } });
  return { gateway, of, call, backup };
}

test('each change has one line, also a change of the level that hides everything', async () => {
  using folder = temporaryFolder();
  const { gateway, of, call, backup } = await startLogged(`sqlite:${folder.file('courier.db')}`);
  await using _ = gateway;
  await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/global?token=${await gateway.token('ada')}`);
  await socket.count(1);
  const [connection] = (await gateway.httpClient(await gateway.token('looker', 'admin')).admin.connections.query()).connections;
  await call('disconnect', { connection_id: connection?.connection_id }, 'r-1');
  await call('disconnect', { connection_id: 'nobody' }, 'r-2');
  await call('revoke', { sub: 'eve', role: 'user' }, 'r-3');
  await call('setLogLevel', { level: 'silent' }, 'r-4');
  await call('revoke', { sub: 'eve' }, 'hidden');
  await call('setLogLevel', { level: 'info' }, 'r-5');
  await call('rebuildState', { entity: 'order' }, 'r-6');
  await (await backup()).bytes();
  await expect.poll(() => of('root').at(-1)?.message).toBe('a backup was sent');
  expect(
    of('root').map(({ request_id, logger, message, context: { user_id, ...context } }) => [request_id, logger, message, context]),
  ).toEqual([
    ['r-1', 'courier.gateway', 'a connection was closed by an administrator', { connection_id: connection?.connection_id }],
    ['r-3', 'courier.auth', 'tokens were revoked', { revoked: { sub: 'eve', role: 'user' }, ended: 0 }],
    ['r-4', 'courier.gateway', 'the log level was set', { from: 'info', to: 'silent' }],
    ['r-5', 'courier.gateway', 'the log level was set', { from: 'silent', to: 'info' }],
    ['r-6', 'courier.state', 'an entity is to be made anew', { entity: 'order' }],
    ['b-1', 'courier.log', 'a backup was made, and is being sent', { bytes: expect.any(Number) }],
    ['b-1', 'courier.log', 'a backup was sent', { bytes: expect.any(Number) }],
  ]);
});

test('a backup that there is none of is not told of as one', async () => {
  const { gateway, of, backup } = await startLogged(await createDatabase(inject('postgresUrl')));
  await using _ = gateway;
  expect((await backup()).status).toBe(400);
  await expect.poll(() => of('root').map(({ message }) => message)).toEqual(['refused: BAD_REQUEST']);
});
