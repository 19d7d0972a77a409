/** What the log tells of connections: each that comes and goes, in lines or in counts whose sum is right. */
import { PassThrough } from 'node:stream';
import { expect, test, vi } from 'vitest';
import { createLogger } from '../../src/observe/logger.ts';
import { startGateway } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';

interface Line {
  readonly message: string;
  readonly context?: {
    readonly connections?: number;
    readonly counts?: readonly { transport: string; close?: number; connections: number }[];
  };
}

test('a flood of connections is cut, and counted to the last', { timeout: 60_000 }, async () => {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk) => {
    text += String(chunk);
  });
  const logger = createLogger({ logLevel: 'info', logFormat: 'json' }, { destination: stream });
  const linesOf = (message: string) =>
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Line)
      .filter((line) => line.message === message);
  const CONNECTIONS = 400;
  await using gateway = await startGateway({}, {}, { logger });
  const url = `${gateway.url.replace('http', 'ws')}/ws/global?token=${await gateway.token('ada')}`;
  // However long it takes, all of it is within one second.
  using _stopped = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => openSocket(url)));
  await expect.poll(() => gateway.census.connections.plain).toBe(CONNECTIONS);
  const { admin } = gateway.httpClient(await gateway.token('root', 'admin'));
  await admin.revoke.mutate({ sub: 'ada' });
  await Promise.all(sockets.map(({ closed }) => closed));
  logger.flush();
  for (const message of ['connected', 'disconnected']) {
    const lines = linesOf(message);
    expect(lines.length).toBeLessThan(CONNECTIONS);
    expect(lines.reduce((sum, { context }) => sum + (context?.connections ?? 1), 0)).toBe(CONNECTIONS);
    for (const { context } of lines.filter((line) => line.context?.counts !== undefined)) {
      const gone = message === 'disconnected' ? { close: 1008, code: 'UNAUTHORIZED' } : {};
      expect(context?.counts).toEqual([{ transport: 'plain', ...gone, connections: context?.connections }]);
    }
  }
});
