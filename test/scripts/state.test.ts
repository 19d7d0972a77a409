/** `courier state`: what things are, as a table, as JSON and as a watch; and an entity that is made anew. */
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { Screen } from '../../scripts/cli/screen.ts';
import { stateLines } from '../../scripts/cli/state-table.ts';
import { type StateItem, WatchedState } from '../../scripts/cli/watched-state.ts';
import { runCli } from '../helpers/cli.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { SECRET, startGateway, type TestGateway } from '../helpers/gateway.ts';
import { processToken, startProcess } from '../helpers/process.ts';

const forGateway = (gateway: TestGateway) => ({ COURIER_URL: gateway.url, COURIER_JWT_SECRET: SECRET });

const placed = (order_id: string, symbol = 'SPX') =>
  ({
    channel: 'strategy.s1',
    type: 'order.placed',
    data: { order_id, symbol, side: 'buy', order_type: 'limit', quantity: '10', limit_price: '99.5' },
  }) as const;
const cancelled = (order_id: string, reason = 'expired') =>
  ({ channel: 'strategy.s1', type: 'order.cancelled', data: { order_id, reason } }) as const;
const held = (quantity: string) =>
  ({ channel: 'strategy.s1', type: 'position.updated', data: { symbol: 'SPX', quantity, average_price: '99' } }) as const;

async function trade(gateway: TestGateway) {
  const { events } = gateway.httpClient(await gateway.token('chevalier', 'service'));
  for (const draft of [placed('o1'), placed('o2', 'NDX'), placed('o10'), held('10'), cancelled('o2')]) await events.publish.mutate(draft);
  return events;
}

async function run(args: readonly string[], env: Record<string, string>) {
  await using cli = runCli(['state', ...args], env);
  const code = await cli.exit;
  return { code, stdout: cli.stdout, stderr: cli.stderr };
}

/** The first words of the lines: channel and key, or the name of an entity. */
const firstOf = (lines: readonly string[]) => lines.map((line) => line.split(/ {2,}/).slice(0, 2).join(' '));

test('what is open, has ended, has some keys or fields is shown as a table for each entity', async () => {
  await using gateway = await startGateway();
  const env = forGateway(gateway);
  expect(await run(['**'], env)).toEqual({ code: 0, stdout: [], stderr: ['none'] });
  await trade(gateway);
  const open = await run(['strategy.*', 'order', '--open'], env);
  expect(open).toMatchObject({ code: 0, stderr: [] });
  expect(open.stdout[0]).toMatch(
    /^channel {6}key {2}open {2}status {2}symbol {2}side {2}order_type {2}quantity {2}limit_price {2}filled_quantity/,
  );
  expect(open.stdout[1]).toMatch(/^strategy\.s1 {2}o1 {3}yes {3}open {4}SPX {5}buy {3}limit {7}10 {8}99\.5/);
  expect(firstOf(open.stdout.slice(1))).toEqual(['strategy.s1 o1', 'strategy.s1 o10']);
  const of = async (...args: string[]) => firstOf((await run(args, env)).stdout);
  const order = ['channel key', 'strategy.s1 o2'];
  expect(await of('strategy.*', 'order', '--closed')).toEqual(order);
  expect(await of('strategy.s1', 'order', '--key', 'o2,o3')).toEqual(order);
  expect(await of('strategy.s1', 'order', '--where', 'state.symbol=NDX,RUT')).toEqual(order);
  expect(await of('strategy.s1', 'order', '--where', 'state.symbol=NDX', '--where', 'state.side=sell')).toEqual([]);
  expect(await of('strategy.*,global', 'order,position', '--key', 's1/SPX', '--key', 'o1')).toEqual([
    'order',
    'channel key',
    'strategy.s1 o1',
    'position',
    'channel key',
    'strategy.s1 s1/SPX',
  ]);
});

test('a key with a comma is given by itself, as often as there are keys', async () => {
  await using gateway = await startGateway();
  const events = await trade(gateway);
  await events.publish.mutate({
    channel: 'strategy.s1',
    type: 'position.updated',
    data: { symbol: 'A,B', quantity: '1', average_price: '1' },
  });
  const of = async (...args: string[]) => firstOf((await run(['strategy.s1', 'position', ...args], forGateway(gateway))).stdout).slice(1);
  expect(await of('--key', 's1/A,B')).toEqual([]);
  expect(await of('--key', 's1/A,B', '--key', 's1/SPX')).toEqual(['strategy.s1 s1/A,B', 'strategy.s1 s1/SPX']);
  expect(await of('--key', 's1/A,B', '--key', 's1/A,B')).toEqual(['strategy.s1 s1/A,B']);
});

test('of one field one of the values holds, of several fields all', async () => {
  await using gateway = await startGateway();
  await trade(gateway);
  const of = async (...where: string[]) =>
    firstOf((await run(['**', 'order', ...where.flatMap((each) => ['--where', each])], forGateway(gateway))).stdout).slice(1);
  const all = ['strategy.s1 o1', 'strategy.s1 o2', 'strategy.s1 o10'];
  expect(await of('state.symbol=SPX', 'state.symbol=NDX')).toEqual(all);
  expect(await of('state.symbol=SPX', 'state.symbol=NDX', 'state.status=cancelled')).toEqual(['strategy.s1 o2']);
});

test('a number or a boolean is found by how it is written', async () => {
  await using gateway = await startGateway();
  const { events } = gateway.httpClient(await gateway.token('forge', 'service'));
  for (const [job_id, progress] of [
    ['j1', 0.25],
    ['j2', 0.5],
  ] as const)
    await events.publish.mutate({ channel: `forge.job.${job_id}`, type: 'forge.job.progress', data: { job_id, progress } });
  const { stdout } = await run(['**', 'job', '--where', 'state.progress=0.50', '--json'], forGateway(gateway));
  expect(stdout.map((line) => JSON.parse(line))).toMatchObject([{ key: 'j2', state: { progress: 0.5 } }]);
});

test('pages are shown one at a time, or all', async () => {
  await using gateway = await startGateway();
  await trade(gateway);
  const page = await run(['**', 'order', '--limit', '2', '--json'], forGateway(gateway));
  expect([page.stdout.length, page.stderr]).toEqual([2, ['there is more: --all']]);
  const all = await run(['**', 'order', '--limit', '2', '--all', '--json'], forGateway(gateway));
  expect(all.stderr).toEqual([]);
  expect(all.stdout.map((line) => JSON.parse(line))).toMatchObject([
    { channel: 'strategy.s1', entity: 'order', key: 'o1', open: true, state: { status: 'open' } },
    { key: 'o10' },
    { key: 'o2', open: false },
  ]);
});

test.each([
  ['no channels', [], 2, /missing required argument 'channels'/],
  ['what is open and closed', ['**', '--open', '--closed'], 2, /'--open' cannot be used with option '--closed'/],
  [
    'a condition without a value',
    ['**', '--where', 'state.symbol'],
    2,
    /argument 'state\.symbol' is invalid\. give a field and what it is to be/,
  ],
  ['a page that is too large', ['**', '--limit', '1001'], 2, /give a whole number from 1 to 1000/],
  ['a page of a watch', ['**', '--limit', '1', '--watch'], 2, /'--limit <count>' cannot be used with option '--watch'/],
  ['an unknown entity', ['**', 'ordr'], 1, /^courier: entity: there is no entity "ordr"; there are .*; is order meant\?$/],
  ['one of several entities', ['**', 'order', 'ordr'], 1, /^courier: entity: there is no entity "ordr"; there are .*; is order meant\?$/],
  ...['--open', '--closed', '--key=o1', '--where=state.symbol=SPX', '--limit=5', '--all', '--watch'].map(
    (option) =>
      [
        `${option} of what is made anew`,
        [option, 'rebuild', 'order'],
        2,
        new RegExp(`^error: option '${option.replace(/=.*/, '')}.*' cannot be used with 'rebuild'$`),
      ] as [string, string[], number, RegExp],
  ),
  ['an option behind what is made anew', ['rebuild', 'order', '--open'], 2, /^error: option '--open' cannot be used with 'rebuild'$/],
  ['an unknown channel', ['strateg.*', 'order'], 1, /; is strategy\.\* meant\?$/],
  [
    'a field that there is not',
    ['**', 'order', '--where', 'state.symbl=SPX'],
    1,
    /^courier: where\.state\.symbl: order has no field "symbl"$/,
  ],
  [
    'a value that a field cannot have',
    ['**', 'order', '--where', 'state.status=nope'],
    1,
    /^courier: where\.state\.status: must be one of "open", "filled", "cancelled"$/,
  ],
  [
    'one such value of several',
    ['**', 'job', '--where', 'state.progress=0.5,half'],
    1,
    /^courier: where\.state\.progress\.1: must be a number$/,
  ],
  ['no value for a number', ['**', 'job', '--where', 'state.progress='], 1, /^courier: where\.state\.progress: must be a number$/],
  [
    'one of a watch',
    ['**', 'job', '--where', 'state.status=nope', '--watch'],
    1,
    /^courier: where\.state\.status: must be one of "running", "completed", "failed"$/,
  ],
  [
    'an unknown entity to make anew',
    ['rebuild', 'postion'],
    1,
    /^courier: entity: there is no entity "postion"; there are .*; is position meant\?$/,
  ],
])('%s is refused in one sentence', async (_name, args, code, sentence) => {
  await using gateway = await startGateway();
  expect(await run(args, forGateway(gateway))).toEqual({ code, stdout: [], stderr: [expect.stringMatching(sentence)] });
});

describe('a watch', () => {
  test('has a line for each change, readable or as JSON', async () => {
    await using gateway = await startGateway();
    const events = await trade(gateway);
    await using readable = runCli(['state', '**', 'order', '--open', '--watch'], forGateway(gateway));
    await using json = runCli(['state', '**', 'order', '--watch', '--json'], forGateway(gateway));
    await Promise.all([readable.line(/^complete at \S+-5, 2 items; changes follow$/), json.line(/"state\.ready"/)]);
    await events.publish.mutate(cancelled('o1', 'a\u001b[2Jb'));
    await Promise.all([readable.line(/ o1 +gone$/), json.line(/"key":"o1","open":false/)]);
    for (const watch of [readable, json]) {
      watch.kill('SIGINT');
      expect(await watch.exit).toBe(0);
    }
    expect(readable.stdout[0]).toMatch(/^strategy\.s1 +order +o1 +open +order_id=o1 status=open symbol=SPX /);
    expect(json.stdout.map((line) => JSON.parse(line)).map(({ type, key }) => type ?? key)).toEqual([
      'o1',
      'o10',
      'o2',
      'state.ready',
      'o1',
    ]);
  });

  test('whose lines are not read rests, and goes on with the latest', { timeout: 60_000 }, async () => {
    await using gateway = await startGateway();
    const events = await trade(gateway);
    const { publishBatch } = events;
    await using watch = runCli(['state', '**', 'order', '--watch', '--json'], forGateway(gateway));
    await watch.line(/"state\.ready"/);
    watch.reads(false);
    const [note, reason] = ['n'.repeat(900), 'last'];
    for (let sent = 0; gateway.census.subscriptions > 0; sent += 1) {
      expect(sent).toBeLessThan(200);
      await publishBatch.mutate(Array.from({ length: 50 }, (_, index) => cancelled(`o${index % 5}`, note)));
    }
    await events.publish.mutate(cancelled('o10', reason));
    watch.reads(true);
    await watch.line(/"reason":"last"/);
    expect(watch.stderr).toEqual([]);
    watch.kill('SIGINT');
    expect(await watch.exit).toBe(0);
  });

  test('goes on where it was after the gateway restarts', async () => {
    using folder = temporaryFolder();
    const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
    const first = await startProcess(env);
    const cli = { COURIER_URL: first.url, COURIER_TOKEN: await processToken('root', 'admin') };
    await using watch = runCli(['state', '**', 'job', '--watch', '--json'], cli);
    const publish = async (key: string) => {
      await using run = runCli(['publish', `forge.job.${key}`, 'forge.job.progress', JSON.stringify({ job_id: key, progress: 0.5 })], cli);
      expect(await run.exit).toBe(0);
      await watch.line(new RegExp(`"key":"${key}"`));
    };
    await watch.line(/"state\.ready"/);
    await publish('j1');
    expect(await first.end('SIGKILL')).toBe('SIGKILL');
    await using _second = await startProcess({ ...env, COURIER_PORT: new URL(first.url).port });
    await publish('j2');
    watch.kill('SIGINT');
    expect(await watch.exit).toBe(0);
    const items = watch.stdout.map((line) => JSON.parse(line)).filter(({ type }) => type === undefined);
    expect(items.map(({ key }) => key)).toEqual(['j1', 'j2']);
  });
});

test('an entity is made anew while it is served, and its watches begin anew', async () => {
  await using gateway = await startGateway();
  await trade(gateway);
  await using watch = runCli(['state', '**', 'order', '--watch', '--json'], forGateway(gateway));
  await watch.line(/"state\.ready"/);
  const rebuild = await run(['rebuild', 'order', '--json'], forGateway(gateway));
  expect(rebuild).toEqual({ code: 0, stdout: ['{"entity":"order"}'], stderr: [] });
  await watch.line(/"state\.reset".*"rebuilt"/);
  const user = { ...forGateway(gateway), COURIER_TOKEN: await gateway.token('ada') };
  expect(await run(['rebuild', 'order'], user)).toEqual({ code: 3, stdout: [], stderr: ['courier: this is for admins'] });
});

const item = (key: string, state: object | null, more: Partial<StateItem> = {}): StateItem => {
  return { id: 'e-1', channel: 'strategy.s1', entity: 'order', key, open: state !== null, state, ...more };
};
const textOf = (lines: ReturnType<typeof stateLines>) =>
  lines.map((line) => (typeof line === 'object' && 'text' in line ? line.text : line));

describe('a table', () => {
  test('has the columns that fit, and says which do not', () => {
    const [head, row, beside] = textOf(
      stateLines([item('o1', { note: 'x'.repeat(30), status: 'open', far: 1 })], { columns: 40 }),
    ) as string[];
    expect([head, row]).toEqual(['channel      key  open  status  far', 'strategy.s1  o1   yes   open    1']);
    expect(beside).toBe('without note, for which there is no room');
    for (let columns = 1; columns < 60; columns += 1) {
      const lines = textOf(stateLines([item('o1', { status: 'open' })], { columns })) as string[];
      expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(columns);
    }
  });

  test('has the rows that fit, and says how many do not', () => {
    const items = ['order', 'position', 'job'].flatMap((entity) => Array.from({ length: 20 }, (_, at) => item(`o${at}`, {}, { entity })));
    const lines = textOf(stateLines(items, { rows: 22 }));
    expect(lines.length).toBeLessThanOrEqual(22);
    expect(lines.filter((line) => /^\d+ more$/.test(String(line)))).toHaveLength(3);
    expect(textOf(stateLines(items.slice(0, 2), { rows: 10 }))).toHaveLength(3);
  });

  test('leaves out what the key says, and objects', () => {
    const [head] = textOf(stateLines([item('o1', { order_id: 'o1', strategy_id: 's1', status: 'open', failure: { code: 'x' } })]));
    expect(head).toBe('channel      key  open  status');
  });
});

test('what is watched is dropped where it is not given again after a reset', () => {
  const watched = new WatchedState();
  expect(watched.take(item('o1', null))).toBe(false);
  for (const key of ['o1', 'o2']) watched.take(item(key, { status: 'open' }));
  expect([watched.isComplete, watched.complete(), watched.isComplete]).toEqual([false, [], true]);
  watched.begin();
  watched.take(item('o2', { status: 'filled' }));
  expect(watched.items.map(({ key }) => key)).toEqual(['o1', 'o2']);
  expect(watched.complete().map(({ key }) => key)).toEqual(['o1']);
  expect(watched.items).toMatchObject([{ key: 'o2', state: { status: 'filled' } }]);
  expect(watched.complete()).toEqual([]);
});

test('a screen whose terminal takes nothing waits once', async () => {
  const stream = Object.assign(new PassThrough({ highWaterMark: 1 }), { rows: 4, columns: 20 });
  const screen = new Screen(stream as unknown as NodeJS.WriteStream, 0, () => ['a']);
  for (let drawn = 0; drawn < 20; drawn += 1) {
    screen.draw();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(stream.listenerCount('drain')).toBe(1);
  stream.resume();
  await expect.poll(() => stream.listenerCount('drain')).toBe(0);
  screen.end();
});

test('a screen is written over in its place, and never beyond the rows of the terminal', async () => {
  const stream = Object.assign(new PassThrough(), { rows: 4, columns: 20 });
  const drawn: string[] = [];
  stream.on('data', (chunk) => drawn.push(String(chunk)));
  let lines = ['a', 'b'];
  const screen = new Screen(stream as unknown as NodeJS.WriteStream, 0, () => lines);
  screen.draw();
  screen.draw();
  await expect.poll(() => drawn.length).toBe(1);
  lines = ['c', 'd', 'e', 'f'];
  screen.end();
  await expect.poll(() => drawn.length).toBe(2);
  expect(drawn).toEqual(['\r\u001b[Ja\nb\n', '\r\u001b[2A\u001b[Jc\nd\ne\n']);
  expect(stripVTControlCharacters(drawn.join(''))).not.toContain('f');
  expect(stream.listenerCount('resize')).toBe(0);
});
