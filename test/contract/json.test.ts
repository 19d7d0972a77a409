/** What may stand in an event's data, by the walk that every surface and the client share. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FORBIDDEN_KEYS, findFault, MAX_CALL_NODES, MAX_DATA_BYTES, MAX_JSON_DEPTH } from '../../src/contract/json.ts';

const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
const INEXACT = 'must be from -9007199254740991 to 9007199254740991: send a larger number as a string';
const ILL_FORMED = 'must be well-formed Unicode, without half of a surrogate pair';

const soundText = fc.string({ unit: 'binary' });
const soundKey = soundText.filter((key) => !FORBIDDEN_KEYS.has(key));
const soundNumber = fc.oneof(
  fc.maxSafeInteger(),
  fc.double({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER, noNaN: true }),
  fc.constantFrom(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
);
const { value: soundValue, root: soundRoot } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 6 }, soundNumber, soundText, fc.boolean(), fc.constant(null), tie('list'), tie('record')),
  list: fc.array(tie('value'), { maxLength: 5 }),
  record: fc.dictionary(soundKey, tie('value'), { maxKeys: 5 }),
  root: fc.oneof(tie('list'), tie('record')),
}));

const inexactNumber = fc
  .oneof(
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 80n }).map(Number),
    fc.double({ min: 2 ** 53, max: Number.MAX_VALUE, noNaN: true }),
    fc.constantFrom(2 ** 53, 1e21, 1e300),
  )
  .chain((number) => fc.constantFrom(number, -number));
const halvedText = fc
  .tuple(soundText, fc.integer({ min: 0xd800, max: 0xdfff }), soundText)
  .map(([before, half, after]) => before + String.fromCharCode(half) + after);

type Container = unknown[] | Record<string, unknown>;
type Path = (string | number)[];

/** Every list and object within `value`, with its path. */
function containersIn(value: unknown, path: Path = []): [Path, Container][] {
  if (typeof value !== 'object' || value === null) return [];
  const children = Array.isArray(value) ? value.map((child, index) => [index, child] as const) : Object.entries(value);
  return [[path, value as Container], ...children.flatMap(([key, child]) => containersIn(child, [...path, key]))];
}

/** Puts a value into one of the lists and objects of `root`, and gives its path. `pick` chooses which and where, `key` its key there. */
function plant(root: unknown, value: unknown, pick: number, key: string): Path {
  const containers = containersIn(root);
  const [path, container] = containers[pick % containers.length] as [Path, Container];
  if (!Array.isArray(container)) {
    container[key] = value;
    return [...path, key];
  }
  const index = pick % (container.length + 1);
  container.splice(index, 0, value);
  return [...path, index];
}

test('JSON passes, and nothing of it is changed', () => {
  fc.assert(
    fc.property(soundValue, (value) => {
      const text = JSON.stringify(value);
      const parsed: unknown = JSON.parse(text);
      expect(findFault(parsed)).toBeUndefined();
      expect(JSON.stringify(parsed)).toBe(text);
    }),
  );
});

test.each([
  ['a number that is not exact', inexactNumber, INEXACT],
  ['text with half of a surrogate pair', halvedText, ILL_FORMED],
])('%s is refused wherever it stands, with its path', (_name, fault, message) => {
  fc.assert(
    fc.property(soundRoot, fault, fc.nat(), soundKey, (root, planted, pick, key) => {
      const sent: unknown = JSON.parse(JSON.stringify(root));
      expect(findFault(sent)).toBeUndefined();
      const path = plant(sent, planted, pick, key);
      expect(findFault(JSON.parse(JSON.stringify(sent)))).toEqual({ path, message, tooLarge: false });
    }),
  );
});

test('a key with half of a surrogate pair is refused wherever it stands, with a path that can be printed', () => {
  fc.assert(
    fc.property(soundRoot, halvedText, fc.nat(), (root, key, pick) => {
      const sent: unknown = JSON.parse(JSON.stringify(root));
      const path = plant(sent, { [key]: 1 }, pick, 'key');
      const message = 'is a key with half of a surrogate pair';
      expect(findFault(sent)).toEqual({ path: [...path, key.toWellFormed()], message, tooLarge: false });
    }),
  );
});

test.each([
  ['9007199254740991', undefined],
  ['-9007199254740991', undefined],
  ['9007199254740991.4', undefined],
  ['1e15', undefined],
  ['5e-324', undefined],
  ['-0', undefined],
  ['9007199254740992', INEXACT],
  ['9007199254740993', INEXACT],
  ['-9007199254740992', INEXACT],
  ['9007199254740991.5', INEXACT],
  ['9.007199254740992e15', INEXACT],
  ['123456789012345678901234567890', INEXACT],
  ['1.7976931348623157e308', INEXACT],
  ['1e400', 'must be a finite number'],
  ['"\\ud83d\\ude80"', undefined],
  ['"\\ud83d"', ILL_FORMED],
  ['"\\ude80\\ud83d"', ILL_FORMED],
])('%s as it is sent', (text, message) => {
  expect(findFault(JSON.parse(text))?.message).toBe(message);
});

test.each([
  ['undefined in a list', { a: [1, undefined] }, ['a', 1], 'must be JSON, not undefined'],
  ['undefined', undefined, [], 'must be JSON, not undefined'],
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
    const units = fc.constantFrom('"', '\\', '\n', '\u0000', 'é', '語', '😀', 'x');
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
