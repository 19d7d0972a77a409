/** What may stand in an event's data, by the walk that every surface and the client share. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findFault, MAX_CALL_NODES, MAX_DATA_BYTES, MAX_JSON_DEPTH } from '../../src/contract/json.ts';

const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
const isSound = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, child]) => !['__proto__', 'constructor', 'prototype'].includes(key) && isSound(child));
};

test('JSON passes, and nothing of it is changed', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 8 }), (text) => {
      const value: unknown = JSON.parse(text);
      fc.pre(isSound(value));
      expect(findFault(value)).toBeUndefined();
      expect(JSON.stringify(value)).toBe(JSON.stringify(JSON.parse(text)));
    }),
  );
});

test.each([
  ['undefined in a list', { a: [1, undefined] }, ['a', 1], 'must be JSON, not undefined'],
  ['a function', { a: () => 1 }, ['a'], 'must be JSON, not function'],
  ['a bigint', 1n, [], 'must be JSON, not bigint'],
  ['infinity', [[Number.POSITIVE_INFINITY]], [0, 0], 'must be a finite number'],
  ['a date', { a: { b: new Date() } }, ['a', 'b'], 'must be JSON, not an instance of a class'],
  ['a map', new Map(), [], 'must be JSON, not an instance of a class'],
  ['a forbidden key', JSON.parse('{"a":[{"b":1},{"__proto__":1}]}'), ['a', 1, '__proto__'], 'is a key that is not allowed'],
  ['the first of two', { a: { b: 1n }, c: 1n }, ['a', 'b'], 'must be JSON, not bigint'],
])('%s is told with its place', (_name, value, path, message) => {
  expect(findFault(value)).toEqual({ path, message, tooLarge: false });
});

describe('bounds', () => {
  test('levels', () => {
    expect(findFault(nested(MAX_JSON_DEPTH))).toBeUndefined();
    const fault = findFault(nested(MAX_JSON_DEPTH + 1));
    expect(fault).toEqual({ path: Array(MAX_JSON_DEPTH).fill(0), message: 'must not be nested deeper than 64 levels', tooLarge: false });
  });

  test('a cycle ends at the bound', () => {
    const cycle: Record<string, unknown> = {};
    cycle['again'] = cycle;
    expect(findFault(cycle)?.path).toHaveLength(MAX_JSON_DEPTH);
  });

  // Values whose JSON has no byte more than counted, filled up with a text to the last byte.
  test.each<[string, unknown]>([
    ['a text', ''],
    ['numbers', Array(50_000).fill(1)],
    ['empty lists', Array(30_000).fill([])],
    ['keys', Object.fromEntries(Array.from({ length: 3000 }, (_, index) => [`k${index}`, { 1: null, 2: true }]))],
  ])('bytes of %s', (_name, value) => {
    const filled = (bytes: number) => [value, 'x'.repeat(bytes - bytesOf([value, '']))];
    expect(findFault(filled(MAX_DATA_BYTES))).toBeUndefined();
    const isTooLarge = { path: [], message: 'must be at most 102400 bytes as JSON', tooLarge: true };
    expect(findFault(filled(MAX_DATA_BYTES + 1))).toEqual(isTooLarge);
  });

  test('the size counted is never more than that of the JSON', () => {
    const units = fc.constantFrom('"', '\\', '\n', '\u0000', 'é', '語', '😀', '\ud800', 'x');
    fc.assert(
      fc.property(fc.array(units, { minLength: 1, maxLength: 50 }), (list) => {
        const text = list.join('');
        const value = { [`k${text}`]: Array(Math.floor((MAX_DATA_BYTES - 400) / (bytesOf(text) + 1))).fill(text) };
        expect(bytesOf(value)).toBeLessThanOrEqual(MAX_DATA_BYTES);
        expect(findFault(value)).toBeUndefined();
      }),
    );
  });

  test('values of one call together', () => {
    const budget = { nodes: 10 };
    expect(findFault([1, 2, 3, 4], budget)).toBeUndefined();
    expect(findFault([1, 2, 3, 4], budget)).toBeUndefined();
    expect(findFault(1, budget)).toEqual({ path: [], message: `brings the call to more than ${MAX_CALL_NODES} values`, tooLarge: true });
  });
});

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
