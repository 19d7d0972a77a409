/** Pieces of work over many parts of their index, and ids that have one hash. */
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { openSqliteLog } from '../../../src/log/sqlite.ts';
import { range, readAll, readBack, seqsOf } from '../../contracts/event-log/logs.ts';
import { newEvent } from '../../helpers/events.ts';
import { temporaryFolder } from '../../helpers/folder.ts';

/** Two ids that the index cannot tell apart. */
function alike(): readonly [string, string] {
  const ids = new Map<number, string>();
  for (let n = 0; ; n += 1) {
    const id = `run-${n}`;
    const hash = crc32(id) % 2 ** 24;
    const other = ids.get(hash);
    if (other !== undefined) return [other, id];
    ids.set(hash, id);
  }
}

test('are found in the order of the log, whatever else there is, and each by itself', async () => {
  using folder = temporaryFolder();
  await using log = await openSqliteLog({ path: folder.file('log.db') });
  const [one, other] = alike();
  const works = new Map([
    [one, [1, 16_383, 16_384, 16_385, 40_000, 65_537]],
    [other, [2, 16_386, 50_000, 65_536]],
  ]);
  const idOf = new Map([...works].flatMap(([id, seqs]) => seqs.map((seq) => [seq, id] as const)));
  for (let from = 1; from <= 66_000; from += 1000)
    await log.append(range(from, from + 999).map((seq) => newEvent('global', { correlationId: idOf.get(seq) ?? `alone-${seq}` })));
  for (const [correlationId, seqs] of works) {
    for (const limit of [1, 2, 100]) {
      expect(seqsOf(await readAll(log, { correlationId }, { limit }))).toEqual(seqs);
      expect(seqsOf(await readBack(log, { correlationId }, { limit }))).toEqual(seqs.toReversed());
    }
    for (const afterSeq of [1, 16_384, 45_000]) {
      const later = seqs.filter((seq) => seq > afterSeq);
      expect(seqsOf(await readAll(log, { correlationId }, { afterSeq, limit: 2 }))).toEqual(later);
    }
  }
  while (await log.trim(-1000, 5000)) if ((await log.bounds()).first > 20_000) break;
  expect(seqsOf(await readAll(log, { correlationId: one }))).toEqual([40_000, 65_537]);
});
