/** Drafts of Lumiere's events, by name; `drafts.test.ts` has what is true of any contract. */
import { describe, expect, test } from 'vitest';
import { CLOSE_CODES, ERROR_CODES, meaningOf, parsePosition, positionOf } from '../../src/contract/index.ts';
import { issueMessage } from '../../src/issue-messages.ts';
import { contract, EVENT_TYPES } from '../helpers/lumiere.ts';
import { SAMPLES } from '../helpers/samples.ts';

const any = contract.draft;
const issues = (draft: unknown) => {
  const result = any.safeParse(draft);
  return result.success ? [] : result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
};
const progress = SAMPLES['backtest.progress'];

test('each type is of one service', () => {
  expect(EVENT_TYPES.map((type) => contract.serviceOf(type))).not.toContain(undefined);
  expect(contract.serviceOf('toString')).toBeUndefined();
});

test('the types of a family are those that may be published there', () => {
  expect(contract.typesOn('backtest')).toEqual(EVENT_TYPES.filter((type) => type.startsWith('backtest.')));
  expect(contract.typesOn('global')).toEqual(EVENT_TYPES);
});

describe('bad input is refused with the path of the field', () => {
  test.each([
    ['an unknown type', { ...progress, type: 'backtest.exploded' }, /^type: must be one of backtest\.started, /],
    ['no type', { channel: 'global' }, /^type: is missing: one of backtest\.started, /],
    [
      'a channel outside the grammar',
      { ...progress, channel: 'backtest.a.b' },
      /^channel: must be one of backtest\.\{id\}, strategy\.\{id\}, user\.\{id\}, global/,
    ],
    ['a channel that may not carry the type', { ...progress, channel: 'forge.job.j' }, /^channel: must be one of backtest/],
    ['progress over 1', { ...progress, data: { backtest_id: 'b', progress: 1.01 } }, /^data\.progress: /],
    ['a price that is a number', { ...SAMPLES['order.filled'], data: { ...SAMPLES['order.filled'].data, price: 5 } }, /^data\.price: /],
    [
      'a price of zero',
      { ...SAMPLES['order.filled'], data: { ...SAMPLES['order.filled'].data, price: '0.00' } },
      /^data\.price: must be a positive decimal/,
    ],
    ['a source', { ...progress, metadata: { source: 'me' } }, /^metadata: .*source/],
    ['a timestamp that is none', { ...progress, metadata: { timestamp: 'yesterday' } }, /^metadata\.timestamp: /],
    ['an id with a space', { ...progress, data: { backtest_id: 'b 1', progress: 0 } }, /^data\.backtest_id: /],
    ['a correlation id with a line break', { ...progress, metadata: { correlation_id: 'a\nb' } }, /^metadata\.correlation_id: /],
  ])('%s', (_name, draft, expected) => expect(issues(draft).join('; ')).toMatch(expected));

  test.each(['__proto__', 'constructor', 'prototype'])('the key %s, however deep', (key) => {
    const data = JSON.parse(`{"strategy_id":"s","parameters":{"a":[{"${key}":1}]}}`);
    expect(issues({ ...SAMPLES['strategy.generation.started'], data })).toEqual([
      `data.parameters.a.0.${key}: is a key that is not allowed`,
    ]);
  });

  test.each(['+010000-01-01T00:00:00Z', '0000-12-31T23:59:59.999Z'])('the time %s, which not every language reads', (time) => {
    const draft = (timestamp: unknown) => issues({ ...SAMPLES['backtest.progress'], metadata: { timestamp } });
    expect(draft(new Date(time)).join()).toMatch(/^metadata\.timestamp: must be within the years 1 to 9999/);
    expect(draft(new Date('9999-12-31T23:59:59.999Z'))).toEqual([]);
    expect(draft(new Date('0001-01-01T00:00:00Z'))).toEqual([]);
  });

  test('nesting that is too deep, and what is no JSON', () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });
    const withParameters = (parameters: unknown) =>
      issues({ ...SAMPLES['strategy.generation.started'], data: { strategy_id: 's1', parameters } });
    expect(withParameters(nested(60))).toEqual([]);
    expect(withParameters(nested(70)).join()).toMatch(/must not be nested deeper than 64 levels/);
    expect(withParameters({ at: new Date() }).join()).toMatch(/^data\.parameters\.at: must be JSON/);
    expect(withParameters({ n: Number.NaN }).join()).toMatch(/^data\.parameters\.n: must be a finite number/);
    expect(withParameters({ u: undefined, list: [{ u: undefined }] })).toEqual([]);
    expect(withParameters({ list: [undefined] }).join()).toMatch(/^data\.parameters\.list\.0: must be JSON, not undefined/);
  });
});

describe('a list of drafts', () => {
  const list = contract.draftList;
  const told = (drafts: unknown) =>
    list.safeParse(drafts, { error: issueMessage }).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  const withNumbers = (count: number) => ({
    ...SAMPLES['forge.job.completed'],
    data: { job_id: 'j1', result: { a: Array(count).fill(1) } },
  });

  test('is measured before its elements are looked at', () => {
    expect(told(Array(500).fill(progress))).toBeUndefined();
    expect(told(Array(100_000).fill('wrong'))).toEqual([': must have at most 500 elements']);
    expect(told([])).toEqual([': must have at least 1 element']);
    expect(told('wrong')).toEqual([': must be a list']);
  });

  test('names the event whose data is wrong', () => {
    const wrong = { ...progress, data: { backtest_id: 'b', progress: 1n } };
    expect(told([progress, wrong, wrong])).toEqual(['1.data.progress: must be JSON, not bigint']);
  });

  test('has no more values in all of its data than a call may bring', () => {
    expect(told([withNumbers(50_000), withNumbers(50_000)])).toBeUndefined();
    expect(told([1, 2, 3].map(() => withNumbers(50_000)))).toEqual(['2.data: brings the call to more than 131072 values']);
  });
});

test('positions', () => {
  expect(parsePosition(positionOf('abc1', 42))).toEqual({ epoch: 'abc1', seq: 42 });
  for (const garbage of [
    '',
    'abc',
    'abc-',
    '-1',
    'abc-01',
    'abc--1',
    'ABC-1',
    'abc-1x',
    'abc-1-2',
    `abc-${'9'.repeat(17)}`,
    'abc-9007199254740993',
  ]) {
    expect(parsePosition(garbage)).toBeUndefined();
  }
});

test('every error code has a close code of the table, and an unknown one counts as internal', () => {
  for (const { close } of Object.values(ERROR_CODES)) expect(CLOSE_CODES).toHaveProperty(String(close));
  expect(meaningOf('UNHEARD_OF')).toBe(ERROR_CODES.INTERNAL_SERVER_ERROR);
});
