/** Logs: what a line looks like, that a flood of equal ones is cut, and that nobody waits for whoever reads them. */
import { createInterface } from 'node:readline';
import { PassThrough, type Readable } from 'node:stream';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createLogger, type Logger } from '../../src/observe/logger.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { openSocket } from '../helpers/raw-socket.ts';

function capture(format: 'json' | 'pretty' = 'json') {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk) => {
    text += String(chunk);
  });
  const logger = createLogger({ logLevel: 'info', logFormat: format }, { destination: stream });
  return {
    logger,
    get lines() {
      return text.split('\n').filter((line) => line !== '');
    },
    get text() {
      return text;
    },
  };
}

test('a line is JSON with the fields of the documentation, and no other', async () => {
  const log = capture();
  log.logger
    .named('log')
    .error('it failed', { request_id: 'r1', procedure: 'events.publish', error: new Error('disk', { cause: new Error('full') }) });
  log.logger.debug('not at this level');
  log.logger.info('plain');
  await expect.poll(() => log.lines.length).toBe(2);
  const [first = '', second = ''] = log.lines;
  expect(JSON.parse(first)).toEqual({
    level: 'ERROR',
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    logger: 'courier.log',
    message: 'it failed',
    request_id: 'r1',
    context: {
      procedure: 'events.publish',
      error: {
        name: 'Error',
        message: 'disk',
        stack: expect.any(String),
        cause: { name: 'Error', message: 'full', stack: expect.any(String) },
      },
    },
  });
  expect(JSON.parse(second)).toEqual({ level: 'INFO', timestamp: expect.any(String), logger: 'courier.gateway', message: 'plain' });
});

test('line breaks and colours that a caller sent stay within their string', async () => {
  const log = capture();
  log.logger.info('named', { name: 'a\r\nlevel=error\u001b[31m' });
  await expect.poll(() => log.lines.length).toBe(1);
  expect(log.text).not.toContain('\u001b');
  expect(JSON.parse(log.lines[0] as string)).toMatchObject({ context: { name: 'a\r\nlevel=error\u001b[31m' } });
});

test('the level changes while it runs', async () => {
  const log = capture();
  log.logger.setLevel('error');
  log.logger.info('hidden');
  log.logger.named('auth').error('shown');
  await expect.poll(() => log.lines.map((line) => JSON.parse(line).message)).toEqual(['the log level was set', 'shown']);
});

test('equal warnings and errors of a part are cut after twenty, others are not', async () => {
  const log = capture();
  for (let n = 0; n < 100; n += 1) log.logger.error('again', { n });
  log.logger.warn('something else');
  log.logger.named('auth').error('again');
  for (let n = 0; n < 50; n += 1) log.logger.info('no warning');
  await expect.poll(() => log.lines.length).toBe(72);
  expect(log.lines.filter((line) => line.includes('"again"'))).toHaveLength(21);
});

const suppressedIn = (lines: readonly string[]) => lines.flatMap((line) => JSON.parse(line).context?.suppressed ?? []);

test.each([
  ['when the time is over', (_logger: Logger) => vi.advanceTimersByTime(10_000)],
  ['before the level changes', (logger: Logger) => logger.setLevel('silent')],
  ['before it ends', (logger: Logger) => void logger.close()],
])('what was left out is told %s, though nothing more comes', (_when, end) => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const log = capture();
  for (let n = 0; n < 100; n += 1) log.logger.error('again');
  end(log.logger);
  expect(suppressedIn(log.lines)).toEqual([80]);
  log.logger.flush();
  expect(suppressedIn(log.lines)).toEqual([80]);
});

test('a flood that goes on is told once in each window', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const log = capture();
  for (let n = 0; n < 3000; n += 1) {
    log.logger.warn('again');
    vi.advanceTimersByTime(10);
  }
  log.logger.flush();
  expect(suppressedIn(log.lines)).toEqual([980, 980, 980]);
  expect(log.lines).toHaveLength(3 * 21);
});

test('for people a line says the same', async () => {
  const log = capture('pretty');
  log.logger.named('websocket').warn('refused: FORBIDDEN', { request_id: 'r1', code: 'FORBIDDEN' });
  await expect
    .poll(() => log.lines)
    .toEqual([
      expect.stringMatching(
        /^\[\d\d:\d\d:\d\d\.\d{3}\] WARN: courier\.websocket: refused: FORBIDDEN \{"context":\{"code":"FORBIDDEN"\},"request_id":"r1"\}$/,
      ),
    ]);
});

test('no descriptors are told once, whatever met them, and again once that was over', () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const log = capture();
  const said = () => log.lines.map((line) => JSON.parse(line)).map(({ message, context }) => [message, context?.action !== undefined]);
  const met = Object.assign(new Error('too many open files'), { code: 'EMFILE' });
  log.logger.named('log').error('the event log failed', { error: new Error('unavailable', { cause: new AggregateError([met]) }) });
  log.logger.named('http').warn('something else', { error: met });
  vi.advanceTimersByTime(4000);
  log.logger.named('http').warn('something else', { error: met });
  vi.advanceTimersByTime(4000);
  expect(said()).toEqual([['the event log failed', true]]);
  vi.advanceTimersByTime(2000);
  log.logger.named('http').error('something else', { error: met });
  expect(said().slice(1)).toEqual([
    ['descriptors are free again', false],
    ['something else', true],
  ]);
});

test('once it is closed nothing is logged, not even that an outage is over', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const log = capture();
  log.logger.error('met', { error: Object.assign(new Error('too many open files'), { code: 'EMFILE' }) });
  expect(await log.logger.close()).toBe(true);
  vi.advanceTimersByTime(10_000);
  log.logger.info('after');
  log.logger.named('http').error('after');
  log.logger.flush();
  expect(log.logger.isEnabled('error')).toBe(false);
  expect(log.lines.map((line) => JSON.parse(line).message)).toEqual(['met']);
});

test('every connection is logged with who it is', async () => {
  await using gateway = await startProcess({ COURIER_LOG: 'memory:' });
  const lines: { message: string; context: object }[] = [];
  createInterface({ input: gateway.child.stdout as Readable }).on('line', (line) => lines.push(JSON.parse(line)));
  const token = await processToken('forge', 'service');
  for (const path of [`/ws/**?token=${token}`, '/trpc?connectionParams=1']) {
    await using socket = await openSocket(gateway.url.replace('http', 'ws') + path);
    if (path.startsWith('/trpc')) {
      socket.send({ method: 'connectionParams', data: { token } });
      socket.send({ id: 1, method: 'query', params: { path: 'auth.whoami' } });
    }
    await socket.count(1);
  }
  const told = () => lines.filter(({ message }) => message.endsWith('connected'));
  await expect.poll(() => told().map(({ message }) => message)).toEqual(['connected', 'disconnected', 'connected', 'disconnected']);
  const who = (transport: string) => ({
    connection_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    user_id: 'forge',
    role: 'service',
    transport,
    address: '127.0.0.1',
    since: expect.any(String),
  });
  expect(told().map(({ context }) => context)).toEqual([who('plain'), who('plain'), who('trpc'), who('trpc')]);
});

test('a log that nobody reads does not stop the gateway', { timeout: 60_000 }, async () => {
  await using gateway = await startProcess({ COURIER_LOG: 'memory:' });
  gateway.child.stdout?.pause();
  const url = `${gateway.url.replace('http', 'ws')}/ws/global?token=${await processToken('ada', 'user')}`;
  // Each logs two lines of about 300 bytes; a pipe holds 64 KB.
  for (let n = 0; n < 300; n += 1) {
    await using socket = await openSocket(url);
    await socket.count(1);
  }
  expect((await fetch(`${gateway.url}/health`)).status).toBe(200);
  // What waits is written once somebody reads, and before the end.
  gateway.child.stdout?.resume();
  expect(await gateway.end('SIGTERM')).toBe(0);
});
