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

const made = (toPresent: (old: { n: number }) => object, data: unknown = { n: 1 }, version = 1) =>
  upcast(contractWith(toPresent), { type: 'station.measured', version, channel: 'station.oslo', data });
const circle: { self?: object } = {};
circle.self = circle;

test('data of the present form', () => {
  expect(made(({ n }) => ({ station_id: 'oslo', extra: { n } }))).toEqual({ station_id: 'oslo', extra: { n: 1 } });
  expect(made(() => ({ extra: undefined }))).toEqual({});
});

test.each<[what: string, toPresent: (old: { n: number }) => object, data?: unknown, version?: number]>([
  ['a bigint', ({ n }) => ({ extra: { n: BigInt(n) } })],
  ['a circle', () => ({ extra: circle })],
  ['a number that is none', () => ({ extra: Number.NaN })],
  ['a number that is not exact', () => ({ extra: 2 ** 60 })],
  ['half of a character', () => ({ extra: '\ud83d' })],
  ['a key that breaks receivers', () => ({ more: { constructor: 1 } })],
  ['a date', () => ({ extra: new Date(0) })],
  ['a promise', async () => ({ extra: 1 })],
  ['the id of another channel', () => ({ station_id: 'bergen' })],
  ['a field that there is not', () => ({ celsius: 1 })],
  [
    'an error',
    () => {
      throw new RangeError('not this one');
    },
  ],
  ['data that the version did not have', () => ({}), { n: '1' }],
  ['a version that nothing is said of', () => ({}), { n: 1 }, 3],
])('nothing, of %s', (_what, toPresent, data, version) => {
  expect(made(toPresent, data, version)).toBeUndefined();
});
