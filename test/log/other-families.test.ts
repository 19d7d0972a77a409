/** Every log with the families of another contract. With Lumiere's the tests of each log run the same, and more. */

import { describe } from 'vitest';
import { openMemoryLog } from '../../src/log/memory.ts';
import { openPostgresLog } from '../../src/log/postgres.ts';
import { openSqliteLog } from '../../src/log/sqlite.ts';
import { filled } from '../contracts/event-log/logs.ts';
import { describeReading } from '../contracts/event-log/reading.ts';
import { describeEventLog } from '../contracts/event-log.ts';
import { newDatabase } from '../helpers/databases.ts';
import { temporaryFolder } from '../helpers/folder.ts';

const nothing = async () => undefined;

describeEventLog('memory log', {
  durable: false,
  runs: 200,
  factory: () => ({ open: async (options) => openMemoryLog(options), [Symbol.asyncDispose]: nothing }),
  failing: () => filled(openMemoryLog({ maxBytes: 1024 * 1024 })),
});

describe('SQLite log', () => {
  describeReading({
    runs: 40,
    factory: () => {
      const folder = temporaryFolder();
      return {
        open: (options) => openSqliteLog({ path: folder.file('log.db'), ...options }),
        [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
      };
    },
  });
});

describe('PostgreSQL log', () => {
  describeReading({
    runs: 15,
    factory: async () => {
      const url = await newDatabase();
      return { open: (options) => openPostgresLog({ url, ...options }), [Symbol.asyncDispose]: nothing };
    },
  });
});
