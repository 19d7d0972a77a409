/** Patterns over the channels of any contract. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { familyForm, includesAll, includesChannel } from '../../src/contract/channels.ts';
import { contract, FAMILIES } from '../helpers/trade.ts';

const setOf = (patterns: string[]) => contract.channels.setOf(patterns);
const select = (patterns: string[], channel: string) => {
  const family = contract.channels.familyOf(channel);
  return family !== undefined && includesChannel(setOf(patterns), family, channel);
};

/** The segments of the families' names, stars, and ids. */
const segment = fc.constantFrom('*', '**', 'a', 'b', ...new Set(FAMILIES.flatMap((family) => family.split('.'))));
const arbitraryChannel = fc.constantFrom(
  'global',
  ...FAMILIES.slice(1).flatMap((family) => [`${family}.a`, `${family}.${family.split('.').at(-1)}`, `${family}.zz`]),
);
const arbitraryPattern = fc.array(segment, { minLength: 1, maxLength: 4 });

/** What a pattern matches by its definition. */
function matches(segments: readonly string[], channel: string): boolean {
  const regex = segments.map((s) => (s === '*' ? '[^.]+' : s === '**' ? '.+' : s)).join('\\.');
  return new RegExp(`^${regex}$`).test(channel);
}

test('a pattern selects just what matching segment by segment gives', () => {
  fc.assert(
    fc.property(arbitraryPattern, arbitraryChannel, (segments, name) => {
      let selected = false;
      try {
        selected = select([segments.join('.')], name);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
      expect(selected).toBe(matches(segments, name));
    }),
    { numRuns: 2000 },
  );
});

test('a set includes another just when it includes all of its channels', () => {
  const arbitrarySet = fc
    .array(fc.oneof(arbitraryChannel, fc.constantFrom('**', ...FAMILIES.slice(1).map((family) => `${family}.*`))), {
      minLength: 1,
      maxLength: 4,
    })
    .map(setOf);
  const channels = [
    'global',
    ...FAMILIES.slice(1).flatMap((family) => ['a', 'zz', family.split('.').at(-1), 'other'].map((id) => `${family}.${id}`)),
  ];
  const inside = (set: ReturnType<typeof setOf>) =>
    channels.filter((channel) => includesChannel(set, contract.channels.familyOf(channel) ?? '', channel));
  fc.assert(
    fc.property(arbitrarySet, arbitrarySet, (outer, inner) => {
      expect(includesAll(outer, inner)).toBe(inside(inner).every((channel) => inside(outer).includes(channel)));
    }),
    { numRuns: 500 },
  );
});

test('each family is one of a name, and told by it', () => {
  const { everything, forms } = contract.channels;
  expect(includesAll(everything, everything)).toBe(true);
  expect(forms).toBe(FAMILIES.map(familyForm).join(', '));
  for (const family of FAMILIES.slice(1)) {
    expect(contract.channels.familyOf(`${family}.${'x'.repeat(64)}`)).toBe(family);
    for (const none of [family, `${family}.`, `${family}.a.b`, `.${family}.a`, `${family}.${'x'.repeat(65)}`, `${family}.*`])
      expect([none, contract.channels.familyOf(none)]).toEqual([none, undefined]);
  }
});
