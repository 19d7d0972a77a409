/** Loaded into a gateway by tests: on SIGUSR2 it takes all descriptors that are left, and gives them back at the next. */
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';

const taken: number[] = [];

process.on('SIGUSR2', () => {
  if (taken.length > 0) {
    for (const descriptor of taken.splice(0)) closeSync(descriptor);
    process.stderr.write('given back\n');
    return;
  }
  try {
    for (;;) taken.push(openSync(devNull, 'r'));
  } catch {
    process.stderr.write('taken\n');
  }
});
