import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';
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

/** Programs that tests start, and that end in order, leave here what Node.js made of their source. */
const env = { NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/node', import.meta.url)) };

/** What is true of any contract: these files run with Lumiere's, and again with the one of `test/harbour`. */
const ANY_CONTRACT = [
  'test/e2e/**/*.test.ts',
  'test/contract/{document,drafts,patterns}.test.ts',
  'test/delivery/{shared-reads,subscriber,tail}.test.ts',
];
/** What Lumiere's own tests have already. */
const OTHER_CONTRACT = ['test/log/other-families.test.ts'];

export default defineConfig({
  test: {
    reporters: ['default', faultTable, closingLine],
    // Runs once, before the first project.
    globalSetup: ['test/helpers/servers.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Tests start gateways and databases of their own, and wait for them a third of the time.
    maxWorkers: 3,
    projects: [
      {
        extends: true,
        test: { name: 'lumiere', env, include: ['test/**/*.test.ts'], exclude: [...configDefaults.exclude, ...OTHER_CONTRACT] },
      },
      {
        extends: true,
        test: {
          name: 'harbour',
          include: [...ANY_CONTRACT, ...OTHER_CONTRACT],
          benchmark: { include: [] },
          env: { ...env, COURIER_TEST_TRADE: 'harbour' },
        },
      },
    ],
  },
});
