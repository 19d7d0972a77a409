/** The contract's hash: the same for whoever keeps the same contract, and another for any other. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { canonicalJson } from '../../src/contract/canonical.ts';
import type { ContractDocument } from '../../src/contract/document.ts';
import type { JsonSchema } from '../../src/contract/json-schema.ts';
import { CONTRACT_HASH, DOCUMENT } from '../helpers/lumiere.ts';

const document = DOCUMENT;
const withDefinition = (schema: JsonSchema): ContractDocument => ({ ...document, $defs: { 'test.happened': schema } });

test('the hash is the start of the SHA-256 of the canonical JSON', () => {
  const sorted = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return Array.isArray(value) ? value.map(sorted) : value;
    const fields = Object.entries(value).filter(([key]) => !['title', 'description', 'subject', 'examples', 'x-name'].includes(key));
    return Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, field]) => [key, sorted(field)]));
  };
  // No field of an event is called `title` or `description`, so here both may be left out wherever they are.
  const json = JSON.stringify(sorted(JSON.parse(JSON.stringify(DOCUMENT))));
  expect(canonicalJson(document)).toBe(json);
  expect(CONTRACT_HASH).toBe(createHash('sha256').update(json).digest('hex').slice(0, 16));
  expect(CONTRACT_HASH).toMatch(/^[0-9a-f]{16}$/);
});

test('wording and the order of keys make no difference', () => {
  const [a, b] = [{ type: 'string' } as const, { type: 'number' } as const];
  expect(canonicalJson(withDefinition({ properties: { a, b }, description: 'x', title: 'y' }))).toBe(
    canonicalJson(withDefinition({ title: 'z', properties: { b: { description: 'w', ...b }, a } })),
  );
});

test('wording is told from a field whose name is that of a keyword', () => {
  const worded = (description: string) => canonicalJson(withDefinition({ properties: { properties: { type: 'string', description } } }));
  expect(worded('a')).toBe(worded('b'));
});

test('fields that are called title or description do, and so does all else', () => {
  const schemas: JsonSchema[] = [
    {},
    { properties: {} },
    { properties: { title: {} } },
    { properties: { description: {} } },
    { properties: { properties: { description: 'wording', type: 'string' } } },
    { properties: { properties: { type: 'object', properties: { title: {} } } } },
    { required: ['a', 'b'] },
    { enum: [1] },
    { enum: ['1'] },
  ];
  expect(new Set(schemas.map((schema) => canonicalJson(withDefinition(schema)))).size).toBe(schemas.length);
});
