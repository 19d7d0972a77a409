/** `npm run fuzz`: random and mutated input for every surface, for a while or in a number, from a seed that is printed. */
import { readOptions } from '../options.ts';
import { fuzz } from './fuzzer.ts';
import { startFuzzedGateway } from './gateway.ts';
import { type Input, inputFrom, stored } from './inputs.ts';
import type { Failure } from './suspects.ts';

const HELP = `Usage: npm run fuzz -- [--seconds 60 | --inputs N] [--seed N]

Starts a gateway, sends it random and mutated input, and checks that nothing breaks.
Exit code 1 when something did; the input is printed for test/fuzz/regressions.json.
`;
const values = readOptions('fuzz', HELP, { seconds: { type: 'string' }, inputs: { type: 'string' }, seed: { type: 'string' } });
const most = numberOf('inputs', values.inputs) ?? Number.POSITIVE_INFINITY;
const seconds = numberOf('seconds', values.seconds) ?? (values.inputs === undefined ? 60 : Number.POSITIVE_INFINITY);
const seed = numberOf('seed', values.seed) ?? Math.floor(Math.random() * 2 ** 31);

/** One input may not keep the event loop for longer, in ms of computing. */
const MAX_BLOCK_MS = 50;
/** Inputs sent before the first that counts: what grows or takes long then is warming up. */
const WARM_UP = 1000;
/** What the gateway's process may take at any moment: its heap may have 256 MB. */
const MAX_RSS_BYTES = 700e6;

function* inputs(): Generator<Input, void> {
  const endsAt = performance.now() + seconds * 1000;
  for (let next = 0; next < most && performance.now() < endsAt; next += 1) yield inputFrom(seed + next);
}

await using gateway = await startFuzzedGateway();
const warmUp = Array.from({ length: WARM_UP }, (_, index) => inputFrom(seed - WARM_UP + index));
await fuzz({ gateway, inputs: warmUp, maxBlockMs: Number.POSITIVE_INFINITY });
const startedAt = performance.now();
const onProgress = process.stderr.isTTY ? (tried: number) => void process.stderr.write(`\r${tried} inputs`) : undefined;
const onFailure = ({ input, reason }: Failure) => {
  process.stdout.write(`FAILED ${reason.slice(0, 2000)}\n${input === undefined ? '' : `${JSON.stringify(stored(input))}\n`}\n`);
};
const outcome = await fuzz({ gateway, inputs: inputs(), maxBlockMs: MAX_BLOCK_MS, onFailure, ...(onProgress && { onProgress }) });
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
const took = (performance.now() - startedAt) / 1000;

for (const [kind, count] of Object.entries(outcome.byKind).sort())
  process.stdout.write(`${kind.padEnd(45)} ${String(count).padStart(8)}\n`);
const { tried, failures, longestTurnMs, peakRssBytes } = outcome;
process.stdout.write(
  `\nseed ${seed}: ${tried} inputs tried, ${Math.round(tried / took)} a second; ${failures.length} failures; ` +
    `longest turn of the event loop ${Math.round(longestTurnMs)} ms; memory ${Math.round(peakRssBytes / 1e6)} MB at most\n`,
);
process.exitCode = failures.length > 0 || gateway.isEnding || peakRssBytes > MAX_RSS_BYTES ? 1 : 0;

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (Number.isFinite(number) && number >= 0) return number;
  process.stderr.write(`fuzz: --${name} must be a number, 0 or more\n`);
  process.exit(2);
}
