import { openMemoryLog } from '../../src/log/memory.ts';
import { describeEventLog } from '../contracts/event-log.ts';

describeEventLog('memory log', {
  durable: false,
  runs: 200,
  factory: () => ({ open: async (options) => openMemoryLog(options), [Symbol.asyncDispose]: async () => undefined }),
});
