/** `npm run fuzz`: random and mutated input for every surface, for a while, from a seed that is printed. */
import { parseArgs } from 'node:util';
import { fuzz } from './fuzzer.ts';
import { startFuzzedGateway } from './gateway.ts';
import { type Input, inputFrom } from './inputs.ts';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' }, help: { type: 'boolean', default: false } },
});
if (values.help) {
  process.stdout.write(
    'Usage: npm run fuzz -- [--seconds 60] [--seed N]\n\nStarts a gateway, sends it random and mutated input, and checks that nothing breaks.\nExit code 1 when something did; the input is printed for test/fuzz/regressions.json.\n',
  );
  process.exit(0);
}
const seconds = numberOf('seconds', values.seconds);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : numberOf('seed', values.seed);

/** What is allowed to remain after the load, in bytes: a heap that has grown is not given back at once. */
const MAX_GROWTH_BYTES = 100e6;

function* inputs(): Generator<Input, void> {
  const endsAt = performance.now() + seconds * 1000;
  for (let next = seed; performance.now() < endsAt; next += 1) yield inputFrom(next);
}

await using gateway = await startFuzzedGateway();
// A first round, so that what grows is no warming up.
await fuzz({ target: gateway, inputs: Array.from({ length: 500 }, (_, index) => inputFrom(seed - 500 + index)) });
const before = gateway.rssBytes();
const onProgress = process.stderr.isTTY ? (tried: number) => void process.stderr.write(`\r${tried} inputs`) : undefined;
const outcome = await fuzz({ target: gateway, inputs: inputs(), ...(onProgress && { onProgress }) });
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
const grown = gateway.rssBytes() - before;
for (const [kind, count] of Object.entries(outcome.byKind).sort())
  process.stdout.write(`${kind.padEnd(40)} ${String(count).padStart(7)}\n`);
for (const { input, reason } of outcome.failures) {
  const { surface, kind, bytes } = input;
  process.stdout.write(`\nFAILED ${reason.slice(0, 2000)}\n${JSON.stringify({ surface, kind, base64: bytes.toString('base64') })}\n`);
}
const failed = outcome.failures.length > 0 || gateway.exitCode !== null || grown > MAX_GROWTH_BYTES;
process.stdout.write(
  `\nseed ${seed}: ${outcome.tried} inputs tried, ${outcome.failures.length} failures; memory ${Math.round(before / 1e6)} MB before, ${Math.round((before + grown) / 1e6)} MB after\n`,
);
process.exitCode = failed ? 1 : 0;

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number >= 0) return number;
  process.stderr.write(`fuzz: --${name} must be a number, 0 or more\n`);
  process.exit(2);
}
