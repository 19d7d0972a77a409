/** Answers are serialised as superjson does it, whichever way they take. */
import fc from 'fast-check';
import superjson from 'superjson';
import { expect, test } from 'vitest';
import { serialize, serializedText } from '../../src/router/serialize.ts';

const key = fc.oneof(fc.constantFrom('id', 'timestamp', 'a.b', 'c\\d', 'ä', ''), fc.string());
const shared = new Date(0);
const date = fc.oneof(fc.date(), fc.constant(shared), fc.constant(new Date(Number.NaN)));
const field = fc.oneof(fc.string(), fc.boolean(), fc.double(), fc.constantFrom(null, undefined, -0, 1n), date, fc.jsonValue());
const refusal = fc.record({
  error: fc.record({ message: fc.string(), at: date, issues: fc.array(fc.record({ path: fc.string(), at: date })) }),
});
const dates = fc.array(fc.oneof(fc.date({ noInvalidDate: true }), fc.array(fc.date({ noInvalidDate: true }))));
const object = fc.dictionary(key, field, { noNullPrototype: true });
const one: unknown = { id: 'x' };

test.each([
  ['an object', object],
  ['a list', fc.array(fc.oneof(object, fc.constant(one)))],
  ['a list with refusals', fc.array(fc.oneof(object, refusal))],
  ['lists of dates', fc.array(fc.oneof(dates, fc.dictionary(fc.constantFrom('1', '20', 'a'), dates, { noNullPrototype: true })))],
  ['anything', fc.anything({ withDate: true, withMap: true, withSet: true, withBigInt: true })],
])('%s', (_, values) => {
  fc.assert(
    fc.property(values as fc.Arbitrary<unknown>, (value) => {
      const written = (write: (value: unknown) => string) => {
        try {
          return write(value);
        } catch (error) {
          return String(error);
        }
      };
      const expected = written((given) => JSON.stringify(superjson.serialize(given)));
      expect(written((given) => JSON.stringify(serialize(given)))).toBe(expected);
      expect(written(serializedText)).toBe(expected);
    }),
    { numRuns: 2000 },
  );
});
