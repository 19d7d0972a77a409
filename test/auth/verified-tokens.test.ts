/** The tokens that are remembered: no more than there is room for, no longer than they are good, and no timer beyond. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { principalOf } from '../../src/auth/principal.ts';
import { VerifiedTokens } from '../../src/auth/verified-tokens.ts';
import { contract } from '../helpers/lumiere.ts';

const MINUTE_MS = 60_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const principal = (expiresInMs = 10 * MINUTE_MS, subscribe: readonly string[] = []) =>
  principalOf(contract, 'ada', 'user', { subscribe, publish: [] }, Date.now() + expiresInMs);

test('one is remembered for a minute, and not beyond its expiry', () => {
  using tokens = new VerifiedTokens();
  const [long, short] = [principal(), principal(5000)];
  tokens.remember('long', long);
  tokens.remember('short', short);
  expect([tokens.find('long'), tokens.find('short'), tokens.find('else')]).toEqual([long, short, undefined]);
  vi.advanceTimersByTime(5000);
  expect([tokens.find('long'), tokens.find('short')]).toEqual([long, undefined]);
  vi.advanceTimersByTime(MINUTE_MS - 5001);
  expect(tokens.find('long')).toBe(long);
  vi.advanceTimersByTime(1);
  expect(tokens.find('long')).toBeUndefined();
});

test('the oldest goes where room is needed, and grants count', () => {
  const bytesOf = (subscribe: readonly string[]) => {
    using tokens = new VerifiedTokens();
    tokens.remember('one', principal(MINUTE_MS, subscribe));
    return tokens.bytes;
  };
  const grants = Array.from({ length: 100 }, (_, index) => `strategy.${String(index).padStart(60, 's')}`);
  const [plain, granting] = [bytesOf([]), bytesOf(grants)];
  expect(granting - plain).toBeGreaterThan(grants.join('').length);
  const maxBytes = granting + 2 * plain;
  using tokens = new VerifiedTokens({ maxBytes });
  for (const token of ['1st', '2nd', '3rd']) tokens.remember(token, principal());
  tokens.remember('big', principal(MINUTE_MS, grants));
  expect(tokens.bytes).toBe(maxBytes);
  expect(['1st', '2nd', '3rd', 'big'].map((token) => tokens.find(token) !== undefined)).toEqual([false, true, true, true]);
  // The same one again takes no more room.
  tokens.remember('big', principal(MINUTE_MS, grants));
  expect(tokens.bytes).toBe(maxBytes);
});

test('the timer runs while something is remembered, and holds no process up', () => {
  using tokens = new VerifiedTokens();
  expect(vi.getTimerCount()).toBe(0);
  for (let round = 0; round < 2; round += 1) {
    tokens.remember('one', principal());
    tokens.remember('two', principal());
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(MINUTE_MS + 10_000);
    expect([vi.getTimerCount(), tokens.bytes]).toEqual([0, 0]);
  }
});

test('nothing is left behind, and nothing is remembered any more', () => {
  const tokens = new VerifiedTokens();
  tokens.remember('one', principal());
  tokens[Symbol.dispose]();
  expect([vi.getTimerCount(), tokens.bytes, tokens.find('one')]).toEqual([0, 0, undefined]);
  tokens.remember('two', principal());
  expect([vi.getTimerCount(), tokens.find('two')]).toEqual([0, undefined]);
});
