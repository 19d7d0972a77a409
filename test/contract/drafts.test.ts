/** Drafts of any contract: where each type may go, and what it must have. */
import { expect, test } from 'vitest';
import { contract, draftOf, EVENT_TYPES, FAMILIES, SAMPLES } from '../helpers/trade.ts';

const issues = (draft: unknown) => {
  const result = contract.draft.safeParse(draft);
  return result.success ? [] : result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
};
const familiesOf = (type: string) => contract.types.get(type)?.families ?? [];

test.each(EVENT_TYPES)('%s: the sample is valid, on each channel that may carry it and on no other', (type) => {
  expect(issues(SAMPLES[type])).toEqual([]);
  for (const family of FAMILIES) {
    const draft = draftOf(type, family, 'x');
    const isCarried = familiesOf(type).includes(family);
    expect([draft.channel, issues(draft).length === 0]).toEqual([draft.channel, isCarried]);
    expect(contract.mayCarry(draft.channel, type)).toBe(isCarried);
  }
});

test.each(EVENT_TYPES)('%s: unknown keys and missing fields are refused, by path', (type) => {
  const sample = SAMPLES[type];
  expect(issues({ ...sample, data: { ...sample?.data, surprise: 1 } }).join()).toMatch(/^data: .*surprise/);
  expect(issues({ ...sample, surprise: 1 }).join()).toMatch(/surprise/);
  expect(issues({ ...sample, data: {} }).join()).toMatch(/^data\./);
});

test.each(EVENT_TYPES)('%s: an id in the data that is not that of the channel is refused, by path', (type) => {
  for (const family of familiesOf(type)) {
    const field = contract.families.get(family)?.id ?? '';
    const draft = draftOf(type, family, 'x');
    if (!(field in draft.data)) continue;
    expect(issues({ ...draft, data: { ...draft.data, [field]: 'y' } })).toEqual([
      `data.${field}: must be "x", the id in the channel ${family}.x`,
    ]);
  }
});

test('the types of a family are those that may be published there, and each type is of one service', () => {
  for (const family of FAMILIES) expect(contract.typesOn(family)).toEqual(EVENT_TYPES.filter((type) => familiesOf(type).includes(family)));
  expect(EVENT_TYPES.map((type) => contract.serviceOf(type))).not.toContain(undefined);
  expect([...contract.services.values()].flat()).toEqual(EVENT_TYPES);
});
