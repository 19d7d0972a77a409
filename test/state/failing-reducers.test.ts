/** Events on which a reducer fails: they change nothing, which is said and counted, and everything else goes on. */
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { createLogger } from '../../src/observe/logger.ts';
import { startGateway } from '../helpers/gateway.ts';
import { shelf } from '../helpers/shelf.ts';
import { type Item, startStates } from '../helpers/states.ts';

const put = (thing: string, makes?: 'error' | 'wrong' | 'promise') => ({
  channel: 'shelf.a',
  type: 'thing.put',
  data: { thing, count: 1, kind: 'box', ...(makes !== undefined && { makes }) },
});

/** A logger, and its lines. */
function keptLines() {
  const lines: { readonly message: string; readonly level: string; readonly context?: Readonly<Record<string, unknown>> }[] = [];
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      for (const line of String(chunk).split('\n')) if (line !== '') lines.push(JSON.parse(line));
      done();
    },
  });
  return { logger: createLogger({ logLevel: 'info', logFormat: 'json' }, { destination }), lines };
}

const FAILED = /^a reducer failed/;

test('an event on which a reducer fails changes nothing of its entity, and the rest goes on', async () => {
  const { logger, lines } = keptLines();
  await using states = await startStates({ contract: shelf, logger });
  await using watch = await states.watch({ channels: ['**'], entities: ['thing', 'tally'] }).ready();
  await states.publish(put('x'), put('y', 'error'), put('y', 'wrong'), put('z', 'promise'), put('x'));
  const had = () => [...watch.things.values()].map(({ entity, key, state }) => [entity, key, state?.['count']]).sort();
  await expect.poll(had).toEqual([
    ['tally', 'a', 2],
    ['thing', 'x', 1],
    ['thing', 'y', 1],
    ['thing', 'z', 1],
  ]);
  expect(states.pipeline.states.figures.failed).toBe(3);
  const failed = lines.filter(({ message }) => FAILED.test(message));
  expect(failed.map(({ context }) => context?.['reason'])).toEqual([
    'its reducer failed with TypeError',
    expect.stringMatching(/^it makes what the state's schema refuses \(state\.count: /),
    'it makes a promise',
  ]);
  expect(failed[0]).toMatchObject({
    level: 'WARN',
    context: { entity: 'tally', event: states.pipeline.log.positions.at(2), type: 'thing.put' },
  });
  // Nothing of the data.
  expect(JSON.stringify(lines)).not.toContain('secret');
  // And so it is for those who begin now.
  await using again = await states.watch({ channels: ['**'], entities: ['tally'] }).ready();
  expect([...again.things.values()]).toMatchObject([{ key: 'a', state: { count: 2 } }]);
  expect(again.state.snapshots[0]?.seq).toBe(5);
});

test('an event whose key is too long changes nothing, which is said', async () => {
  const { logger, lines } = keptLines();
  await using states = await startStates({ contract: shelf, logger });
  await using watch = await states.watch({ channels: ['**'], entities: ['thing'] }).ready();
  await states.publish(put('x'.repeat(513)), put('x'.repeat(512)));
  await expect.poll(() => [...watch.things.values()].map(({ key }) => key.length)).toEqual([512]);
  expect(lines.filter(({ message }) => FAILED.test(message))).toMatchObject([
    { level: 'WARN', context: { entity: 'thing', reason: 'its key has more than 512 characters' } },
  ]);
  expect(states.pipeline.states.figures.failed).toBe(1);
});

test('many of them are one line with their number, after the first few', async () => {
  const { logger, lines } = keptLines();
  await using states = await startStates({ contract: shelf, logger });
  await using watch = await states.watch({ channels: ['**'], entities: ['tally'] }).ready();
  for (let part = 0; part < 10; part += 1) await states.publish(...Array.from({ length: 100 }, () => put('x', 'error')));
  await states.publish(put('x'));
  await watch.sink.until(() => watch.things.size === 1);
  expect(states.pipeline.states.figures.failed).toBe(1000);
  expect(lines.filter(({ message }) => FAILED.test(message)).length).toBeLessThanOrEqual(20);
});

test('the metrics of a gateway count them', async () => {
  await using gateway = await startGateway({}, {}, { contract: shelf });
  const token = await gateway.token('shop', 'service');
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  for (const makes of ['error', 'wrong', undefined] as const) {
    const { status } = await fetch(`${gateway.url}/publish`, { method: 'POST', headers, body: JSON.stringify(put('x', makes)) });
    expect(status).toBeLessThan(300);
  }
  const { items } = (await (await fetch(`${gateway.url}/state/shelf.a?entity=tally`, { headers })).json()) as { items: Item[] };
  expect(items).toMatchObject([{ key: 'a', open: true, state: { count: 1, kind: 'box' } }]);
  expect(await (await fetch(`${gateway.url}/metrics`)).text()).toContain('\ncourier_state_failures_total 2\n');
});
