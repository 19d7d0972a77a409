import { defineConfig } from 'vitest/config';
import type { Reporter, TestModule } from 'vitest/node';
import { faultTable } from './test/faults/table.ts';

/** Prints the closing line that build servers read. */
const closingLine: Reporter = {
  onTestRunEnd(modules: readonly TestModule[]) {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    const broken = modules.filter((module) => module.errors().length > 0).length;
    process.stdout.write(`\n${count('passed')} passed, ${count('failed') + broken} failed, ${count('skipped')} skipped\n`);
  },
};

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    reporters: ['default', faultTable, closingLine],
    globalSetup: ['test/helpers/servers.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Tests start gateways and databases of their own: more at once than there are cores only makes them slow.
    maxWorkers: 2,
  },
});
