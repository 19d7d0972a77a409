/** What an earlier form becomes: data that could be published to the channel now, or nothing. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { defineContract, defineService } from '../../src/contract/define.ts';
import { earlierVersion } from '../../src/contract/definition.ts';
import { id } from '../../src/contract/fields.ts';
import { upcast } from '../../src/contract/upcast.ts';

/** A contract in which version 1, with a number, becomes what the function makes of it. */
function contractWith(toPresent: (old: { n: number }) => object) {
  const stations = defineService({
    events: {
      'station.measured': {
        on: ['station'],
        description: 'A station has measured.',
        data: z.strictObject({
          station_id: id.optional(),
          extra: z.unknown().optional(),
          more: z.record(z.string(), z.unknown()).optional(),
        }),
        examples: [{}],
        version: 2,
        upcast: { 1: earlierVersion(z.strictObject({ n: z.number() }), toPresent) },
      },
    },
  });
  return defineContract({ name: 'weather', families: { station: { id: 'station_id' } }, services: { stations } });
}

function made(toPresent: (old: { n: number }) => object, data: unknown = { n: 1 }, version = 1): unknown {
  const result = upcast(contractWith(toPresent), { type: 'station.measured', version, channel: 'station.oslo', data });
  return 'data' in result ? result.data : result.problem;
}
const circle: { self?: object } = {};
circle.self = circle;

test('data of the present form', () => {
  expect(made(({ n }) => ({ station_id: 'oslo', extra: { n } }))).toEqual({ station_id: 'oslo', extra: { n: 1 } });
  expect(made(() => ({ extra: undefined }))).toEqual({});
});

test.each<[what: string, problem: string, toPresent: (old: { n: number }) => object, data?: unknown, version?: number]>([
  ['a bigint', 'its upcast makes data.extra.n, which must be JSON, not bigint', ({ n }) => ({ extra: { n: BigInt(n) } })],
  ['a circle', 'its upcast makes data.extra.self.self', () => ({ extra: circle })],
  ['a number that is none', 'its upcast makes data.extra, which must be a finite number', () => ({ extra: Number.NaN })],
  ['a number that is not exact', 'its upcast makes data.extra, which must be ', () => ({ extra: 2 ** 60 })],
  ['half of a character', 'its upcast makes data.extra, which ', () => ({ extra: '\ud83d' })],
  [
    'a key that breaks receivers',
    'its upcast makes data.more.constructor, which is a key that is not allowed',
    () => ({ more: { constructor: 1 } }),
  ],
  ['a date', 'its upcast makes data.extra, which must be JSON, not an instance of a class', () => ({ extra: new Date(0) })],
  ['more than may be published', 'its upcast makes data, which must be at most 102400 bytes', () => ({ extra: 'x'.repeat(102_400) })],
  ['a map', 'its upcast makes data, which must be JSON, not an instance of a class', () => new Map()],
  ['a promise', 'its upcast makes a promise', () => Promise.resolve({ extra: 1 })],
  ['a promise that is not kept', 'its upcast makes a promise', () => Promise.reject(new Error('later'))],
  ['the id of another channel', 'its upcast makes data.station_id, which is not the id in the channel', () => ({ station_id: 'bergen' })],
  ['a field that there is not', 'its upcast makes what the present schema refuses (data: unrecognized_keys)', () => ({ celsius: 1 })],
  [
    'an error',
    'its upcast failed with RangeError',
    () => {
      throw new RangeError('with what is in the data');
    },
  ],
  ['other data', 'it is not of the form that the contract says version 1 had (data.n: invalid_type)', () => ({}), { n: '1' }],
  ['a later version', "it is of a later version than the contract's 2", () => ({}), { n: 1 }, 3],
])('nothing, of %s', (_what, problem, toPresent, data, version) => {
  expect(made(toPresent, data, version)).toEqual(expect.stringContaining(problem));
});
