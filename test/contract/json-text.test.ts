/** Texts with keys that V8 confuses are read as they were written; all others, and what is no JSON, as by V8. */
import { deepStrictEqual } from 'node:assert';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJson } from '../../src/contract/json-text.ts';

/** Written by JSON.stringify, and read by V8, they change places. */
const CONFUSED = [
  ['\\\\', '\\.'],
  ['x\\n', 'x\ny'],
  ['\\', '"'],
  ['a\\"', 'a"b'],
] as const;

const key = fc.oneof(
  fc.string({ unit: fc.constantFrom('\\', '"', '\n', 'n', 'a', '.', 'ü') }),
  fc.constantFrom('__proto__', 'constructor', '0', ''),
);
const text = fc.string({ unit: fc.constantFrom('\\', '"', '\n', ':', ' ', 'a', '😀', '\ud800') });
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(
      text,
      fc.boolean(),
      fc.constant(null),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    ),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

test('V8 still confuses keys: when this fails, `parseJson` is no longer needed', () => {
  JSON.parse('{"first":0,"\\\\\\\\":1}');
  expect(JSON.parse('{"first":0,"\\\\.":2}')).toEqual({ first: 0, '\\\\': 2 });
});

test.each(CONFUSED)('%j and %j', (one, other) => {
  for (const space of [undefined, 1, '\t']) {
    for (const sent of [
      { first: 0, [one]: 1 },
      { first: 0, [other]: 2 },
    ]) {
      expect(parseJson(JSON.stringify(sent, undefined, space))).toEqual(sent);
    }
  }
});

test('whatever JSON.stringify writes', () => {
  fc.assert(
    fc.property(value, fc.constantFrom(undefined, 1, '\t'), (sent, space) => {
      deepStrictEqual(parseJson(JSON.stringify(sent, undefined, space)), sent);
    }),
    { numRuns: 2000 },
  );
});

describe('beside a key with an escape', () => {
  const read = (part: string) => parseJson(`{"\\"":0,"part":${part}}`) as { part: unknown };

  test.each([
    '-0',
    '1e400',
    '1E-7',
    '0.1',
    '123456789012345678901234567890',
    '"\\u00e9\\ud83d\\ude00\\ud800\\/"',
    '{"a":1,"b":2,"a":[3]}',
    ' [ ] ',
  ])('V8 reads %s so too', (part) => deepStrictEqual(read(part).part, JSON.parse(part)));

  test('__proto__ is a key like any other', () => {
    const { part } = read('{"__proto__":{"polluted":1},"\\u005f_proto__":{"polluted":2}}');
    expect(Object.entries(part as object)).toEqual([['__proto__', { polluted: 2 }]]);
    expect(Object.getPrototypeOf(part)).toBe(Object.prototype);
  });

  test.each([
    '',
    '01',
    '1.',
    '+1',
    'NaN',
    'undefined',
    '[1,]',
    '{"a":1,}',
    '{a:1}',
    "'a'",
    '"\t"',
    '"\\x"',
    '"\\u12"',
    '"',
    '[1 2]',
    '1}',
    '//\n1',
    '\u00a01',
  ])('no JSON: %j', (part) => {
    expect(() => JSON.parse(`{"":${part}}`)).toThrow(SyntaxError);
    expect(() => read(part)).toThrow(SyntaxError);
  });

  test('nesting that would exhaust the stack is a fault of the text', () => {
    const deep = '['.repeat(200_000);
    expect(() => read(deep + deep.replaceAll('[', ']'))).toThrow(new SyntaxError('JSON is nested too deeply'));
  });
});

test.each(['\\', '"\\', '"\\"', '{"\\":1}', '"\\"\\', '{"a\\'])('what is no JSON at all: %j', (broken) => {
  expect(() => parseJson(broken)).toThrow(SyntaxError);
});
