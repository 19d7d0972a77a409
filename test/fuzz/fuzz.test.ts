/** A brief run of the fuzzer from a fixed seed, and every input that ever broke something. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fuzz } from '../../scripts/fuzz/fuzzer.ts';
import { startFuzzedGateway } from '../../scripts/fuzz/gateway.ts';
import { type Input, inputFrom, restored, type StoredInput } from '../../scripts/fuzz/inputs.ts';

const SEED = 20_261_124;
const INPUTS = 12_000;
/** What `npm run fuzz` allows is 50 ms; here machines are slower, and busy with other tests, which costs caches their contents. */
const MAX_BLOCK_MS = 250;

test('the same seed gives the same input', () => {
  for (let seed = SEED; seed < SEED + 200; seed += 1) expect(inputFrom(seed)).toEqual(inputFrom(seed));
  expect(new Set(Array.from({ length: 200 }, (_, index) => inputFrom(SEED + index).kind)).size).toBeGreaterThan(12);
});

test('nothing breaks', { timeout: 180_000 }, async () => {
  await using gateway = await startFuzzedGateway();
  const inputs = Array.from({ length: INPUTS }, (_, index) => inputFrom(SEED + index));
  const outcome = await fuzz({ gateway, inputs, maxBlockMs: MAX_BLOCK_MS });
  expect(outcome.failures).toEqual([]);
  expect(outcome.tried).toBe(INPUTS);
  expect(gateway.errors).toEqual([]);
  expect(gateway.isEnding).toBe(false);
});

test('nothing that once broke something does so again', { timeout: 60_000 }, async () => {
  const file = JSON.parse(readFileSync(new URL('./regressions.json', import.meta.url), 'utf8')) as StoredInput[];
  const inputs: Input[] = file.map(restored);
  await using gateway = await startFuzzedGateway();
  const outcome = await fuzz({ gateway, inputs, maxBlockMs: MAX_BLOCK_MS });
  expect(outcome.failures).toEqual([]);
  expect(gateway.errors).toEqual([]);
});
