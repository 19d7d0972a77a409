/** What callers are told of the faults in an input, in the words of no language. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { validated } from '../src/errors.ts';
import { contract } from './helpers/lumiere.ts';

const told = (schema: z.ZodType, value: unknown) => {
  try {
    validated(schema, value);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('the value was taken');
};

test.each<[z.ZodType, unknown, string]>([
  [z.string(), 1, 'must be a string'],
  [z.string(), null, 'must be a string'],
  [z.string(), undefined, 'is required'],
  [z.number(), '1', 'must be a number'],
  [z.number(), Number.NaN, 'must be a number'],
  [z.int(), 1.5, 'must be an integer'],
  [z.boolean(), 1, 'must be true or false'],
  [z.array(z.string()), {}, 'must be a list'],
  [z.object({}), [], 'must be an object'],
  [z.record(z.string(), z.string()), [], 'must be an object'],
  [z.null(), 1, 'must be absent'],
  [z.string().nullable(), 1, 'must be a string'],
  [z.never(), 1, 'must be absent'],
  [z.literal('a'), 'b', 'must be "a"'],
  [z.enum(['a', 'b']), 'c', 'must be one of "a", "b"'],
  [z.enum(['a', 'b']), undefined, 'is required'],
  [z.literal([1, null]), 'c', 'must be 1'],
  [z.string().min(1), '', 'must have at least 1 character'],
  [z.string().max(2), 'abc', 'must have at most 2 characters'],
  [z.string().length(2), 'abc', 'must have exactly 2 characters'],
  [z.array(z.int()).max(1), [1, 2], 'must have at most 1 element'],
  [z.number().min(0).max(1), 2, 'must be at most 1'],
  [z.number().gt(0), 0, 'must be more than 0'],
  [z.number().lt(0), 0, 'must be less than 0'],
  [z.number().multipleOf(5), 3, 'must be a multiple of 5'],
  [z.string().regex(/^a\/b$/), 'b', 'must match ^a\\/b$'],
  [z.string().startsWith('a'), 'b', 'must start with "a"'],
  [z.string().endsWith('a'), 'b', 'must end with "a"'],
  [z.string().includes('a'), 'b', 'must contain "a"'],
  [z.iso.date(), 'b', 'must be a date such as 2026-01-31'],
  [z.iso.datetime(), 'b', 'must be a date and time such as 2026-01-31T12:00:00Z'],
  [z.uuid(), 'b', 'must be a UUID'],
  [z.cuid2(), '!', expect.stringMatching(/^must be a string of the form cuid2|^must match/) as never],
  [z.union([z.number(), z.string()]), true, 'must be a number or a string'],
  [z.union([z.number(), z.string()]), undefined, 'is required'],
  [z.union([z.object({ a: z.int() }), z.object({ b: z.int() })]), { a: 'x' }, 'has none of the forms that it may have'],
  [z.record(z.string().max(1), z.int()), { ab: 1 }, 'ab: is no key that is taken: it must have at most 1 character'],
  [z.strictObject({ a: z.int() }), { a: 1, b: 2 }, 'b: is not a known key'],
  [z.string().refine(() => false), 'a', 'is not taken'],
  [z.string({ error: 'must be mine' }), 1, 'must be mine'],
])('%#: %j', (schema, value, message) => {
  expect(told(schema, value)).toEqual(message);
});

test('no fault of a draft is told in the words of JavaScript', () => {
  const values = [null, undefined, true, 1.5, -1, '', 'x', [], {}, { x: 1 }];
  for (const value of values) {
    const drafts = [
      value,
      { type: value },
      { type: 'backtest.started', channel: value, data: value, metadata: value, idempotency_key: value },
      { type: 'backtest.started', channel: 'global', data: { backtest_id: value, from: value, bars_total: value } },
      { type: 'order.placed', channel: 'global', data: { side: value, quantity: value } },
      { type: 'backtest.failed', channel: 'global', metadata: { timestamp: value, traceparent: value }, data: { retryable: value } },
    ];
    // JSON has no undefined: such a field is absent.
    const plain = (draft: unknown) => (draft === undefined ? draft : JSON.parse(JSON.stringify(draft)));
    for (const draft of drafts)
      expect(told(contract.draft, plain(draft))).not.toMatch(/undefined|null|NaN|received|Invalid|expected|array|boolean/);
  }
});
