/** `npm run test:faults`: the fault tests at their full length; with `--cluster` those of several instances only. */
import { spawn } from 'node:child_process';

const [option, ...others] = process.argv.slice(2);
if ((option !== undefined && option !== '--cluster') || others.length > 0) {
  process.stderr.write('test:faults: the only option is --cluster\n');
  process.exit(2);
}
const which = option === undefined ? [] : ['-t', 'instance|Redis|PostgreSQL'];
spawn('vitest', ['run', 'test/faults', ...which], {
  env: { ...process.env, COURIER_FAULTS: 'long' },
  stdio: 'inherit',
}).on('exit', (code) => {
  process.exitCode = code ?? 1;
});
