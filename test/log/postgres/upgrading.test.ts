/** A log of an earlier version is brought to this one with its events, while instances of the earlier version go on with it. */
import { expect, test } from 'vitest';
import { appendFunction } from '../../../src/log/postgres/append.ts';
import { openPostgresLog } from '../../../src/log/postgres.ts';
import { execute, newDatabase, WITHOUT_FORMS, WITHOUT_RELATIONS } from '../../helpers/databases.ts';
import { newEvent } from '../../helpers/events.ts';
import { channelSetOf, contract } from '../../helpers/lumiere.ts';

const never = new AbortController().signal;
const FAMILIES = contract.channels.families;

/** Appends as an instance of the earlier version does, which numbers a family by its place in the contract. */
function appendAsEarlier(url: string, channel: string, family: string) {
  const values = `(SELECT epoch FROM courier_log), NULL, 86400000, ARRAY['${channel}'], ARRAY[${FAMILIES.indexOf(family)}]::smallint[]`;
  return execute(url, `SELECT * FROM courier_append(${values}, ARRAY['a'], ARRAY['{}'], ARRAY[NULL]::text[], ARRAY[NULL]::text[])`);
}

test('events keep their families, and new ones of both versions come together', async () => {
  const url = await newDatabase();
  {
    await using log = await openPostgresLog({ url, families: FAMILIES });
    await log.append(['backtest.b1', 'forge.job.j1', 'global'].map((channel) => newEvent(channel)));
  }
  await execute(url, ...WITHOUT_FORMS);
  await using log = await openPostgresLog({ url, families: FAMILIES });
  // Of a family that had no event before the upgrade, from either side first.
  await appendAsEarlier(url, 'strategy.s1', 'strategy');
  await log.append([newEvent('strategy.s2', { version: 3 }), newEvent('user.u1')]);
  await appendAsEarlier(url, 'user.u2', 'user');
  const read = async (...patterns: string[]) => {
    const { events } = await log.read({ afterSeq: 0, channels: channelSetOf(patterns), limit: 100 }, never);
    return events.map(({ channel, version }) => `${channel} ${version}`);
  };
  expect(await read('backtest.*', 'forge.**', 'global')).toEqual(['backtest.b1 1', 'forge.job.j1 1', 'global 1']);
  expect(await read('strategy.*')).toEqual(['strategy.s1 1', 'strategy.s2 3']);
  expect(await read('user.*')).toEqual(['user.u1 1', 'user.u2 1']);
  expect(await read('**')).toHaveLength(7);
});

test('what an earlier instance stores meanwhile is found by its correlation id, and has a time', async () => {
  const url = await newDatabase();
  await (await openPostgresLog({ url, families: FAMILIES }))[Symbol.asyncDispose]();
  await execute(url, ...WITHOUT_RELATIONS);
  await using log = await openPostgresLog({ url, families: FAMILIES });
  const append = (body: string) =>
    execute(
      url,
      `SELECT * FROM courier_append((SELECT epoch FROM courier_log), NULL, 86400000, ARRAY['global'], ARRAY[0]::smallint[], ARRAY['a'],
         ARRAY[1]::smallint[], ARRAY['${body}'], ARRAY[NULL]::text[], ARRAY[NULL]::text[])`,
    );
  const before = Date.now();
  await append('{"channel":"global","type":"a","metadata":{"correlation_id":"run"},"data":{}}');
  await append('{"channel":"global","type":"a","metadata":{},"data":{}}');
  await append('no JSON, as it is when an instance looks whether it can store anything');
  await log.append([{ ...newEvent('global'), correlationId: 'run', causeSeq: 1 }]);
  const { events } = await log.read({ afterSeq: 0, channels: { correlationId: 'run' }, limit: 10 }, never);
  expect(events.map(({ seq }) => seq)).toEqual([1, 4]);
  for (const ms of await log.storedAt([1, 2, 3, 4])) expect(Math.abs(Number(ms) - before)).toBeLessThan(60_000);
});

test('the function that earlier instances call stays as it was made', () => {
  expect(appendFunction(false)).not.toContain('version');
  expect(appendFunction(true).replaceAll(/ (?:[fte]\.)?versions?(?: smallint(?:\[\])?)?,/g, '')).toBe(appendFunction(false));
});
