/** Channels and patterns over Lumiere's, by name; `patterns.test.ts` has what is true of any contract. */
import { describe, expect, test } from 'vitest';
import { familyForm, includesAll, includesChannel } from '../../src/contract/channels.ts';
import { channelSetOf, contract, EVERYTHING, FAMILIES } from '../helpers/lumiere.ts';

const select = (patterns: string[], channel: string) => {
  const family = contract.channels.familyOf(channel);
  return family !== undefined && includesChannel(channelSetOf(patterns), family, channel);
};

describe('the grammar of channels', () => {
  test.each([
    ['global', 'global'],
    ['user.u1', 'user'],
    ['strategy.A-b_9', 'strategy'],
    [`backtest.${'x'.repeat(64)}`, 'backtest'],
    ['forge.job.j', 'forge.job'],
  ])('%s is of family %s', (channel, family) => expect(contract.channels.familyOf(channel)).toBe(family));

  test.each([
    '',
    'user',
    'user.',
    'user.a.b',
    '.u',
    'global.x',
    'forge.job',
    'forge.x',
    'user.é',
    'user.a b',
    `user.${'x'.repeat(65)}`,
    'nope.x',
    'user.*',
    'courier',
  ])('%j is no channel', (channel) => expect(contract.channels.familyOf(channel)).toBeUndefined());
});

describe('patterns', () => {
  test.each([
    ['**', ['global', 'user.a', 'forge.job.a'], []],
    ['*', ['global'], ['user.a', 'forge.job.a']],
    ['user.*', ['user.a'], ['global', 'strategy.a']],
    ['*.a', ['user.a', 'strategy.a', 'backtest.a'], ['user.b', 'forge.job.a']],
    ['**.a', ['user.a', 'forge.job.a'], ['forge.job.b', 'global']],
    ['*.*', ['user.a', 'backtest.z'], ['global', 'forge.job.a']],
    ['forge.**', ['forge.job.a'], ['user.a']],
    ['forge.*.a', ['forge.job.a'], ['forge.job.b']],
    ['forge.job.*', ['forge.job.a'], ['backtest.a']],
    ['*.job.a', ['forge.job.a'], ['user.a']],
  ])('%s', (pattern, matching, others) => {
    for (const channel of matching) expect([channel, select([pattern], channel)]).toEqual([channel, true]);
    for (const channel of others) expect([channel, select([pattern], channel)]).toEqual([channel, false]);
  });

  test.each(['', '.', 'a..b', 'user.', 'us*r.a', '***', 'user.a.*', 'nope.*', 'forge.*', `user.${'x'.repeat(300)}`])(
    '%j is refused, by name',
    (pattern) => {
      expect(() => channelSetOf(['global', pattern])).toThrow(RangeError);
      expect(() => channelSetOf(['global', pattern])).toThrow(JSON.stringify(pattern.slice(0, 255)).slice(1, 20));
    },
  );

  test('a channel that a listed family has already is not listed twice', () => {
    const listed = { everything: false, families: new Set(['user']), singles: new Set(['global']) };
    expect(channelSetOf(['user.a', 'user.*', 'user.a', 'global'])).toEqual(listed);
    expect(channelSetOf(['user.a', '**'])).toEqual(EVERYTHING);
  });
});

test('containment', () => {
  const inside = (outer: string[], inner: string[]) => includesAll(channelSetOf(outer), channelSetOf(inner));
  expect(inside(['**'], ['*.a', 'global', 'forge.**'])).toBe(true);
  expect(inside(['user.*'], ['user.a', 'user.b'])).toBe(true);
  expect(inside(['user.a'], ['user.*'])).toBe(false);
  expect(inside(['user.a', 'global'], ['user.a'])).toBe(true);
  const ofTwoSegments = FAMILIES.filter((family) => family !== 'global' && !family.includes('.')).map((family) => `${family}.*`);
  expect(inside(ofTwoSegments, ['*.a'])).toBe(true);
  expect(inside(ofTwoSegments.slice(1), ['*.a'])).toBe(false);
  expect(includesAll(EVERYTHING, EVERYTHING)).toBe(true);
  expect(['global', 'user', 'forge.job'].map(familyForm)).toEqual(['global', 'user.{id}', 'forge.job.{id}']);
});
