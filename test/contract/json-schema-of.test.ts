/** Schemas as JSON Schema: what zod writes in a way that clients are not made from is written in another. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { typescriptOf } from '../../scripts/contract/typescript.ts';
import { defineContract, defineService } from '../../src/contract/define.ts';
import { contractDocument } from '../../src/contract/document.ts';

test('alternatives that a field tells apart are alternatives for every client', () => {
  const shape = z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('round'), radius: z.number() }),
    z.strictObject({ kind: z.literal('square'), side: z.number() }),
  ]);
  const drawn = {
    on: [],
    description: 'A shape was drawn.',
    data: z.strictObject({ shape }),
    examples: [{ shape: { kind: 'round', radius: 1 } }],
  } as const;
  const contract = defineContract({
    name: 'shapes',
    families: {},
    services: { pens: defineService({ events: { 'shape.drawn': drawn } }) },
  });
  const document = contractDocument(contract);
  for (const part of [document.$defs, document['x-drafts']]) {
    const field = part['shape.drawn']?.properties?.['data']?.properties?.['shape'];
    expect([field?.anyOf?.length, Object.keys(field ?? {})]).toEqual([2, ['anyOf']]);
  }
  expect(typescriptOf(document, 'hash').replaceAll(/\s+/g, ' ')).toContain(
    "shape: { kind: 'round'; radius: number; } | { kind: 'square'; side: number; };",
  );
});
