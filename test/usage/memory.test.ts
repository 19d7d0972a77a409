import { usageFile } from '../../src/usage/usage-file.ts';
import { describeUsageStore } from '../contracts/usage.ts';

describeUsageStore('uses in memory', {
  isDurable: false,
  isShared: false,
  factory: () => ({
    open: () => Promise.resolve(usageFile(undefined, () => undefined)),
    [Symbol.asyncDispose]: async () => undefined,
  }),
});
