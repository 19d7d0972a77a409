/** What superjson writes and Courier reads: dates and undefined as superjson would, and nothing else. */
import { deepStrictEqual } from 'node:assert';
import fc from 'fast-check';
import superjson from 'superjson';
import { describe, expect, test } from 'vitest';
import { parseJson } from '../../src/contract/json-text.ts';
import { inputOf } from '../../src/router/annotations.ts';

type Wire = Parameters<typeof superjson.deserialize>[0];

const DATE = '2026-01-02T03:04:05.678Z';
const FORBIDDEN = ['__proto__', 'constructor', 'prototype'];
const odd = fc.constantFrom('', '.', '..', 'a.b', 'a\\.b', '\\', '\\\\', 'a\\', '.a', '0', '-1', 'length', 'toString', 'json', ' ');
const key = fc.oneof(odd, fc.string(), fc.string({ unit: fc.constantFrom('.', '\\', 'a') })).filter((text) => !FORBIDDEN.includes(text));
const leaf = fc.oneof(
  fc.constantFrom(undefined, null, true, false),
  fc.string(),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
  fc.date({ noInvalidDate: true }),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(key, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
}));

/** As it arrives, each time anew: reading uses it up. */
const arrives = (wire: unknown): Wire => parseJson(JSON.stringify(wire)) as Wire;

test('values of JSON, dates and undefined come through as superjson gives them', () => {
  fc.assert(
    fc.property(value, (sent) => {
      const wire = superjson.serialize(sent);
      const received = inputOf(arrives(wire));
      deepStrictEqual(received, superjson.deserialize(arrives(wire)));
      deepStrictEqual(received, sent);
    }),
    { numRuns: 1000 },
  );
});

describe('trees of other forms are read as superjson reads them', () => {
  test.each<[string, unknown, object]>([
    ['of the root', DATE, { v: 1, values: ['Date'] }],
    ['one in another', { a: { b: [DATE, null] } }, { v: 1, values: { a: { b: { 0: ['Date'], 1: ['undefined'] } } } }],
    ['a path, then a tree', { a: { 'b.c': { d: DATE } } }, { v: 1, values: { 'a.b\\.c': { d: ['Date'] } } }],
    ['an escaped backslash', { 'a\\': { b: DATE } }, { v: 1, values: { 'a\\\\.b': ['Date'] } }],
    ['of version 0, where a backslash is one', { 'a\\b': DATE, 'c.d': DATE }, { values: { 'a\\b': ['Date'], 'c\\.d': ['Date'] } }],
    ['of version 0, named', { 'a\\\\b': DATE }, { v: 0, values: { 'a\\\\b': ['Date'] } }],
    ['empty', { a: 1 }, { v: 1, values: {} }],
    ['absent', { a: 1 }, { v: 1 }],
    ['none at all', { a: 1 }, {}],
  ])('%s', (_name, json, meta) => {
    const wire = { json, meta } as Wire;
    deepStrictEqual(inputOf(arrives(wire)), superjson.deserialize(arrives(wire)));
  });

  test.each([undefined, null, {}])('no input: %s', (raw) => expect(inputOf(raw)).toBeUndefined());
});

describe('refused by name', () => {
  const samples: [string, unknown][] = [
    ['set', new Set([1])],
    ['map', new Map([[1, 2]])],
    ['bigint', 1n],
    ['regexp', /a/],
    ['number', Number.NaN],
    ['URL', new URL('http://localhost')],
    ['Error', new Error('x')],
    ['typed-array', new Uint8Array(2)],
  ];
  test.each(samples)('the annotation %s', (name, sample) => {
    for (const sent of [sample, { a: [sample] }, { at: new Date(), a: sample }]) {
      expect(() => inputOf(arrives(superjson.serialize(sent)))).toThrow(`the annotation "${name}" is not taken`);
    }
  });

  test.each([
    ['class', ['class', 'A']],
    ['symbol', ['symbol', 's']],
    ['custom', ['custom', 'c']],
    ['set', ['set', { 0: ['Date'] }]],
    ['date', 'date'],
  ])('the annotation %s, made by hand', (name, type) => {
    const refused = () => inputOf({ json: { a: [DATE] }, meta: { v: 1, values: { a: [type].flat(0) } } });
    expect(refused).toThrow(`the annotation "${name}" is not taken`);
  });

  test('references, and whatever else stands in meta', () => {
    const shared = { at: new Date(0) };
    expect(() => inputOf(arrives(superjson.serialize([shared, shared])))).toThrow(/^meta\.referentialEqualities is not taken: .* copied/);
    expect(() => inputOf({ json: 1, meta: { v: 1, surprise: 1 } })).toThrow('meta.surprise is not taken');
    expect(() => inputOf({ json: 1, surprise: 1 })).toThrow('input.surprise is not taken');
    expect(() => inputOf({ json: 1, meta: { v: 2, values: {} } })).toThrow('meta.v must be 0 or 1');
  });

  test.each<[string, unknown, unknown, RegExp]>([
    ['a place that is not there', { a: 1 }, { b: ['undefined'] }, /names "b", where there is nothing/],
    ['a place below a text', { a: DATE }, { 'a.0': ['Date'] }, /names "a\.0"/],
    ['an index past the end', [DATE], { 1: ['Date'] }, /names "1"/],
    ['the length of a list', [null], { length: ['undefined'] }, /names "length"/],
    ['an inherited property', {}, { toString: ['undefined'] }, /names "toString"/],
    ['__proto__', {}, JSON.parse('{"__proto__":["undefined"]}'), /names "__proto__"/],
    ['__proto__ of its own', JSON.parse('{"__proto__":{"a":null}}'), { '__proto__.a': ['undefined'] }, /names "__proto__\.a"/],
    ['constructor.prototype', { constructor: { prototype: null } }, { 'constructor.prototype': ['undefined'] }, /names "constructor/],
    ['a path that is none', { a: 1 }, { 'a\\b': ['Date'] }, /which is no path/],
    ['a date that is a number', { a: 1 }, { a: ['Date'] }, /"Date" must be a string/],
    ['a date that is none', { a: 'soon' }, { a: ['Date'] }, /"Date" must be a string with a date/],
    ['one place twice', { a: { b: DATE } }, { 'a.b': ['Date'], a: { b: ['Date'] } }, /"Date" must be a string/],
    ['undefined that is something', { a: 1 }, { a: ['undefined'] }, /"undefined" must be null/],
    ['an annotation within a date', { a: DATE }, { a: ['Date', { 0: ['Date'] }] }, /nothing to annotate within .*"Date"/],
    ['an annotation of nothing', { a: 1 }, { a: [] }, /annotation of no name is not taken/],
    ['a tree that is a text', { a: 1 }, { a: 'Date' }, /must be made of objects and lists/],
    ['a tree that is null', { a: 1 }, null, /must be made of objects and lists/],
  ])('%s', (_name, json, values, message) => {
    expect(() => inputOf({ json, meta: { v: 1, values } })).toThrow(message);
  });

  test.each([1, 'text', [1]])('an input that superjson did not write: %j', (raw) => {
    expect(() => inputOf(raw)).toThrow('input must be an object with json and meta, as superjson has it');
  });
});

describe('bounds', () => {
  const nested = (levels: number, inner: unknown): unknown => (levels === 0 ? inner : { a: nested(levels - 1, inner) });

  test('how deep annotations reach, however they are written', () => {
    const path = (levels: number) => Array(levels).fill('a').join('.');
    const read = (levels: number, values: unknown) => inputOf({ json: nested(levels, DATE), meta: { v: 1, values } });
    expect(JSON.stringify(read(64, { [path(64)]: ['Date'] }))).toContain(DATE);
    for (const levels of [65, 5000]) {
      expect(() => read(levels, { [path(levels)]: ['Date'] })).toThrow('deeper than 64 levels');
      expect(() => read(levels, nested(levels, ['Date']))).toThrow('deeper than 64 levels');
    }
  });

  test('how many there are', () => {
    const read = (count: number) =>
      inputOf({
        json: Array(count).fill(null),
        meta: { v: 1, values: Object.fromEntries(Array.from({ length: count }, (_, index) => [index, ['undefined']])) },
      });
    expect(read(5000)).toEqual(Array(5000).fill(undefined));
    expect(() => read(5001)).toThrow('at most 5000 annotations');
  });

  test('how much of a name is told', () => {
    const long = 'x'.repeat(500_000);
    for (const raw of [
      { json: {}, meta: { [long]: 1 } },
      { [long]: 1 },
      { json: {}, meta: { values: { [long]: ['Date'] } } },
      { json: 1, meta: { values: [long] } },
    ]) {
      expect(() => inputOf(raw)).toThrow(/^.{1,400}$/);
    }
  });
});
