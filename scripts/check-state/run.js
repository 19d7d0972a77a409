/** `npm run check:state -- --url http://127.0.0.1:8766 --token …`: exits with 0 when the state is what the events make, with 1 when it is not. */
import { parseArgs } from 'node:util';
import { checkState } from './check.js';

/** Differences that are told, at most. */
const SHOWN = 10;
const HELP = `Usage: npm run check:state -- [options]

Reads all events of a gateway of Lumiere's contract, folds them by rules of its own, and compares that with the state that it serves.

  --url <address>   the gateway; http://127.0.0.1:8766 when absent
  --token <jwt>     one that may read everything; COURIER_TOKEN when absent
  --help
`;

try {
  const { url, token, help } = parseArgs({
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:8766' },
      token: { type: 'string', default: process.env.COURIER_TOKEN ?? '' },
      help: { type: 'boolean', default: false },
    },
  }).values;
  if (help) console.log(HELP);
  else {
    const { position, events, compared, differences } = await checkState(url, token);
    console.log(`at ${position}: ${events} events, things compared ${compared}, differences ${differences.length}`);
    for (const difference of differences.slice(0, SHOWN)) console.log(`  ${difference}`);
    process.exitCode = differences.length === 0 ? 0 : 1;
  }
} catch (error) {
  console.error(`check:state: ${error.message}${error.cause ? `: ${error.cause.message}` : ''}`);
  process.exitCode = 2;
}
