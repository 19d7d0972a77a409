/** `npm run fuzz`: random and mutated input for every surface, for a while, from a seed that is printed. */
import { parseArgs } from 'node:util';
import { fuzz } from './fuzzer.ts';
import { startFuzzedGateway } from './gateway.ts';
import { type Input, inputFrom } from './inputs.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    inputs: { type: 'string' },
    seed: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(
    'Usage: npm run fuzz -- [--seconds 60 | --inputs N] [--seed N]\n\nStarts a gateway, sends it random and mutated input, and checks that nothing breaks, that no input holds its\nevent loop for more than 50 ms, and that no more than ten times its size is kept of any.\nExit code 1 when something did; the input is printed for test/fuzz/regressions.json.\n',
  );
  process.exit(0);
}
const seconds = numberOf('seconds', values.seconds);
const most = values.inputs === undefined ? Number.POSITIVE_INFINITY : numberOf('inputs', values.inputs);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : numberOf('seed', values.seed);

/** For how long one input may hold the event loop, in ms. */
const MAX_HELD_MS = 50;
/** What may be kept in the end beyond what was in the beginning, in bytes. */
const MAX_GROWTH_BYTES = 24e6;
/** Sent first, so that what grows is no warming up. */
const WARM_UP = 2000;

function* inputs(): Generator<Input, void> {
  const endsAt = values.inputs === undefined ? performance.now() + seconds * 1000 : Number.POSITIVE_INFINITY;
  for (let next = seed; next < seed + most && performance.now() < endsAt; next += 1) yield inputFrom(next);
}

await using gateway = await startFuzzedGateway();
await fuzz({
  gateway,
  maxHeldMs: Number.POSITIVE_INFINITY,
  inputs: Array.from({ length: WARM_UP }, (_, index) => inputFrom(seed - WARM_UP + index)),
});
const before = await gateway.look();
const onProgress = process.stderr.isTTY ? (tried: number) => void process.stderr.write(`\r${tried} inputs`) : undefined;
const startedAt = performance.now();
const outcome = await fuzz({ gateway, maxHeldMs: MAX_HELD_MS, inputs: inputs(), ...(onProgress && { onProgress }) });
const took = (performance.now() - startedAt) / 1000;
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
const after = await gateway.look();
for (const [kind, count] of Object.entries(outcome.byKind).sort())
  process.stdout.write(`${kind.padEnd(40)} ${String(count).padStart(8)}\n`);
for (const { input, reason } of outcome.failures) {
  const { kind, until, pieces } = input;
  const base64 = pieces.map((piece) => piece.toString('base64'));
  process.stdout.write(`\nFAILED ${reason.slice(0, 2000)}\n${JSON.stringify({ kind, until, pieces: base64 }).slice(0, 4000)}\n`);
}
const grown = after.keptBytes - before.keptBytes;
const mb = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
process.stdout.write(
  `\nseed ${seed}: ${outcome.tried} inputs in ${Math.round(took)} s, ${outcome.failures.length} failures; event loop held for at most ${Math.round(outcome.worstMs)} ms by any group; kept ${mb(before.keptBytes)} before and ${mb(after.keptBytes)} after, at most ${mb(outcome.peakRssBytes)} resident\n`,
);
process.exitCode = outcome.failures.length > 0 || gateway.exitCode !== null || grown > MAX_GROWTH_BYTES ? 1 : 0;

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number >= 0) return number;
  process.stderr.write(`fuzz: --${name} must be a number, 0 or more\n`);
  process.exit(2);
}
