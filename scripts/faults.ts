/**
 * `npm run test:faults`: the fault tests at their full length; with `--cluster` those of several instances only, with `--soak`
 * twenty minutes of everything at once.
 */
import { spawn } from 'node:child_process';

const [option, ...others] = process.argv.slice(2);
const WHICH: Readonly<Record<string, readonly string[]>> = {
  all: ['test/faults'],
  '--cluster': ['test/faults', '-t', 'instance|Redis|PostgreSQL'],
  '--soak': ['test/faults/soak.test.ts'],
};
const which = Object.hasOwn(WHICH, option ?? 'all') ? WHICH[option ?? 'all'] : undefined;
if (which === undefined || others.length > 0) {
  process.stderr.write('test:faults: the only options are --cluster and --soak\n');
  process.exit(2);
}
spawn('vitest', ['run', ...which], {
  env: { ...process.env, COURIER_FAULTS: 'long', ...(option === '--soak' && { COURIER_SOAK_MINUTES: '20' }) },
  stdio: 'inherit',
}).on('exit', (code) => {
  process.exitCode = code ?? 1;
});
