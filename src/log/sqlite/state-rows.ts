/** How the states of entities lie in an SQLite database: their columns, and the ranges of indexes that a query reads. */
import { crc32 } from 'node:zlib';
import { familyIn } from '../../contract/channels.ts';
import { STATE_CONDITIONS, type StateBuild, type StateQuery, type StateRow } from '../state-store.ts';
import type { FamilyNumbers } from './families.ts';

export const STATE_COLUMNS = 'build, key, channel, condition, seq, since_seq, body, checksum';
export const BUILD_COLUMNS = 'number, entity, version, start_seq, seq, written_seq, is_complete, built_seq, forgotten_seq';
/** Up to where who has the states may not have heard of a removal, as long as anybody may not have. */
export const UNSETTLED_SEQ = Number.MAX_SAFE_INTEGER;
/** Ranges of one statement, at most: SQLite takes 500. */
const MAX_RANGES = 400;

/** A statement, whose last value is a limit. */
export interface StateRanges {
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

/** One range of an index for each build, condition, and family or channel; as many in each statement as SQLite takes. */
export function channelRanges({ builds, channels, conditions, afterSeq }: StateQuery, numbers: FamilyNumbers): StateRanges[] {
  const families = [...(channels.everything ? numbers.names : channels.families)].flatMap((family) => numbers.get(family) ?? []);
  const ranges: StateRanges[] = [];
  const add = (index: string, column: string, value: string | number) => {
    for (const build of builds) {
      for (const condition of conditions) {
        ranges.push({
          sql: `SELECT ${STATE_COLUMNS} FROM state INDEXED BY ${index} WHERE ${column} = ? AND build = ? AND condition = ? AND seq > ?`,
          values: [value, build, STATE_CONDITIONS.indexOf(condition), afterSeq],
        });
      }
    }
  };
  for (const family of families) add('state_by_family', 'family', family);
  for (const channel of channels.everything ? [] : channels.singles) add('state_by_channel', 'channel', channel);
  return together(ranges);
}

/** Few rows have one of some keys: they are read and put in order. */
export function keyRanges({ builds, conditions, afterSeq }: StateQuery, keys: readonly string[]): StateRanges[] {
  return together(
    builds.flatMap((build) =>
      keys.map((key) => ({
        sql: `SELECT ${STATE_COLUMNS} FROM state INDEXED BY state_by_key WHERE build = ? AND key = ? AND seq > ? AND condition IN (${conditions.map((each) => STATE_CONDITIONS.indexOf(each)).join()})`,
        values: [build, key, afterSeq],
      })),
    ),
  );
}

function together(ranges: readonly StateRanges[]): StateRanges[] {
  const statements: StateRanges[] = [];
  for (let at = 0; at < ranges.length; at += MAX_RANGES) {
    const some = ranges.slice(at, at + MAX_RANGES);
    statements.push({
      sql: `${some.map(({ sql }) => sql).join(' UNION ALL ')} ORDER BY seq LIMIT ?`,
      values: some.flatMap(({ values }) => values),
    });
  }
  return statements;
}

export function buildOf([
  number,
  entity,
  version,
  startSeq,
  seq,
  writtenSeq,
  isComplete,
  builtSeq,
  forgottenSeq,
]: readonly unknown[]): StateBuild {
  return {
    number: Number(number),
    entity: String(entity),
    version: Number(version),
    startSeq: Number(startSeq),
    seq: Number(seq),
    writtenSeq: Number(writtenSeq),
    isComplete: isComplete === 1,
    builtSeq: Number(builtSeq),
    forgottenSeq: Number(forgottenSeq),
  };
}

/** A row, and whether it is as it was stored. */
export function readRow([build, key, channel, condition, seq, sinceSeq, body, checksum]: readonly unknown[]): {
  readonly row: StateRow;
  readonly isIntact: boolean;
} {
  const row: StateRow = {
    build: Number(build),
    key: String(key),
    channel: String(channel),
    family: familyIn(String(channel)) ?? String(channel),
    condition: STATE_CONDITIONS[Number(condition)] ?? 'gone',
    seq: Number(seq),
    sinceSeq: Number(sinceSeq),
    body: String(body),
  };
  return { row, isIntact: checksum === checksumOf(row) };
}

export function checksumOf({ build, key, channel, condition, seq, sinceSeq, body }: StateRow): number {
  return crc32(body, crc32(`${build} ${key} ${channel} ${condition} ${seq} ${sinceSeq}`));
}
