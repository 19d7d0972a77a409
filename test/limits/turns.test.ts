/** Turns: so much is looked at in one turn of the event loop, first come first served, and nobody waits for nothing. */
import { expect, test } from 'vitest';
import { Turns } from '../../src/limits/turns.ts';

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
const KIBIBYTE = 1024;

test('what is little goes at once', async () => {
  const turns = new Turns(512 * KIBIBYTE);
  for (let n = 0; n < 1000; n += 1) expect(turns.take(300)).toBeUndefined();
});

test('what is much goes a little each turn, in the order in which it came', async () => {
  const turns = new Turns(512 * KIBIBYTE);
  const gone: number[] = [];
  for (let n = 0; n < 100; n += 1) {
    const turn = turns.take(100 * KIBIBYTE);
    if (turn === undefined) gone.push(n);
    else void turn.then(() => gone.push(n));
  }
  let before = gone.length;
  expect(before).toBeGreaterThan(0);
  for (let turn = 0; gone.length < 100; turn += 1) {
    await nextTurn();
    expect(gone.length - before).toBeGreaterThan(0);
    expect(gone.length - before).toBeLessThanOrEqual(6);
    before = gone.length;
    expect(turn).toBeLessThan(100);
  }
  expect(gone).toEqual(Array.from({ length: 100 }, (_, n) => n));
  await nextTurn();
  expect(turns.take(1)).toBeUndefined();
});

test('who comes later waits behind those who wait', async () => {
  const turns = new Turns(512 * KIBIBYTE);
  const gone: string[] = [];
  turns.take(KIBIBYTE * KIBIBYTE);
  for (const name of ['first', 'second']) void turns.take(KIBIBYTE * KIBIBYTE)?.then(() => gone.push(name));
  await nextTurn();
  expect(gone).toEqual(['first']);
  void turns.take(1)?.then(() => gone.push('third'));
  await nextTurn();
  await nextTurn();
  expect(gone).toEqual(['first', 'second', 'third']);
});
