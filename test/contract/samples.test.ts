/** Samples are such as a gateway takes and gives, of any contract. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { expect, test } from 'vitest';
import { carriersOf, sampleDraft, sampleEvent } from '../../src/contract/samples.ts';
import * as docks from '../helpers/docks.ts';
import * as lumiere from '../helpers/lumiere.ts';

const CONTRACTS = [
  { name: 'lumiere', contract: lumiere.contract, document: lumiere.DOCUMENT },
  { name: 'docks', contract: docks.contract, document: docks.DOCUMENT },
] as const;

test.each(CONTRACTS)('every example of $name makes a draft that a gateway takes, and an event of its schema', ({ contract, document }) => {
  const ajv = formats.default(new Ajv2020({ strict: false }));
  for (const [type, { examples }] of Object.entries(document['x-types'])) {
    for (const data of examples) {
      const draft = sampleDraft(document, type, data);
      expect([draft, contract.draft.safeParse(draft).error]).toEqual([draft, undefined]);
      expect([type, ajv.validate(document['x-drafts'][type] ?? false, draft), ajv.errors]).toEqual([type, true, null]);
      expect([type, ajv.validate(document.$defs[type] ?? false, sampleEvent(document, type, data)), ajv.errors]).toEqual([
        type,
        true,
        null,
      ]);
    }
  }
  for (const type of document['x-notices']) {
    expect([type, ajv.validate(document.$defs[type] ?? false, sampleEvent(document, type)), ajv.errors]).toEqual([type, true, null]);
  }
});

test('a sample of the first example is that of the contract, which knows the home of each type', () => {
  for (const type of lumiere.EVENT_TYPES) {
    const { channel, ...rest } = lumiere.contract.sampleOf(type);
    const made = sampleDraft(lumiere.DOCUMENT, type);
    expect(made).toMatchObject(rest);
    if (!channel.endsWith('.example')) expect(made.channel).toBe(channel);
  }
});

test.each([
  ['ship.moored', { ship_id: 'a', berth: 'b', draught_m: 1 }, 'ship.a'],
  // An id that is none of a channel's does not become one.
  ['ship.moored', { ship_id: 'a b', berth: 'b', draught_m: 1 }, 'berth.crane.example'],
  ['container.released', { container: 'c' }, 'ship.example'],
  ['container.released', { container: 'c', ship_id: 's' }, 'ship.s'],
  ['tide.turned', { to: 'ebb' }, 'global'],
])('%s of %j goes to %s', (type, data, channel) => {
  expect(sampleDraft(docks.DOCUMENT, type, data).channel).toBe(channel);
});

test('the family of the subject carries a type first, and those of every contract last', () => {
  const familiesOf = (type: string) => carriersOf(docks.DOCUMENT, type).map(([family]) => family);
  expect(familiesOf('ship.moored')).toEqual(['ship', 'berth.crane', 'user', 'global']);
  expect(familiesOf('tide.turned')).toEqual(['user', 'global']);
  expect(familiesOf('toString')).toEqual([]);
});
