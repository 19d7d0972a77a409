/** States in the SQLite log: the guarantees of every store, and what is its own: the file. */
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { openSqliteLog } from '../../../src/log/sqlite.ts';
import { ALL, begun, stateRow, store } from '../../contracts/state-store/states.ts';
import { describeStateStore } from '../../contracts/state-store.ts';
import { temporaryFolder } from '../../helpers/folder.ts';
import { EVERYTHING } from '../../helpers/trade.ts';

describeStateStore('SQLite log', {
  durable: true,
  runs: 60,
  factory: () => {
    const folder = temporaryFolder();
    return {
      open: (options) => openSqliteLog({ path: folder.file('log.db'), ...options }),
      abandon: async () => undefined,
      [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
    };
  },
});

test.each(['body', 'condition', 'since_seq', 'channel', 'key'])(
  'a stored state whose %s has changed is reported, and not served',
  async (column) => {
    using folder = temporaryFolder();
    const path = folder.file('log.db');
    let build = 0;
    {
      await using log = await openSqliteLog({ path });
      [build] = await begun(log.states, 'e');
      await store(log.states, [stateRow(build, { seq: 2, sinceSeq: 1 }), stateRow(build, { seq: 3, key: 'l' })]);
    }
    const db = new DatabaseSync(path);
    const other = ['condition', 'since_seq'].includes(column) ? `${column} + 1` : `replace(${column}, 'u1', 'u2') || ' '`;
    db.exec(`UPDATE state SET ${column} = ${other} WHERE key = 'k'`);
    db.close();
    await using log = await openSqliteLog({ path });
    const page = await log.states.read({ builds: [build], channels: EVERYTHING, conditions: ALL, afterSeq: 0, limit: 10 });
    expect(page).toMatchObject({ rows: [{ key: 'l' }], damaged: [{ build }] });
    if (['body', 'condition', 'since_seq'].includes(column))
      expect(await log.states.find([{ build, key: 'k', channel: 'user.u1' }])).toEqual([
        { row: undefined, forgottenSeq: 0, isDamaged: true },
      ]);
    expect(await log.states.find([{ build, key: 'l', channel: 'user.u1' }])).toMatchObject([{ row: { seq: 3 } }]);
  },
);
