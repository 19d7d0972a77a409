/** The generated TypeScript has the types of the schemas, and equals the committed file. */
import { readFileSync } from 'node:fs';
import { describe, expect, expectTypeOf, test } from 'vitest';
import type * as Generated from '../../../client/src/contract.ts';
import { CONTRACT_HASH as GENERATED_HASH, EVENT_TYPES as GENERATED_TYPES } from '../../../client/src/contract.ts';
import { typescriptOf } from '../../../scripts/contract/typescript.ts';
import type { ContractDocument } from '../../../src/contract/document.ts';
import type { GapNotice, LiveNotice } from '../../../src/contract/envelope.ts';
import type { JsonSchema } from '../../../src/contract/json-schema.ts';
import type { EntityName, Family, Service, TypedContract } from '../../../src/contract/types.ts';
import {
  CONTRACT_HASH,
  type contract,
  DOCUMENT,
  EVENT_TYPES,
  type EventData,
  type EventOn,
  type EventType,
  type EventTypeOf,
  type StateOf,
} from '../../helpers/lumiere.ts';

/** zod's types with `foo?: T` in place of `foo?: T | undefined`, at every level. */
type Exact<T> = T extends readonly (infer Item)[]
  ? Exact<Item>[]
  : T extends object
    ? { [K in keyof T]: Exact<Exclude<T[K], undefined>> }
    : T;

test('the generated types are those of the schemas', () => {
  expectTypeOf<Generated.EventType>().toEqualTypeOf<EventType>();
  expectTypeOf<Generated.EventDataByType>().toEqualTypeOf<{ [T in EventType]: Exact<EventData<T>> }>();
  expectTypeOf<{ [T in EventType]: Exact<EventData<T>> }>().toExtend<Generated.EventDataByType>();
  expectTypeOf<Generated.EventDataByType>().toExtend<{ [T in EventType]: EventData<T> }>();
  expectTypeOf<Generated.NoticeDataByType['courier.gap']>().toEqualTypeOf<Exact<GapNotice['data']>>();
  expectTypeOf<Generated.NoticeDataByType['courier.live']>().toEqualTypeOf<Exact<LiveNotice['data']>>();
  expectTypeOf<Generated.NoticeType>().toEqualTypeOf<(GapNotice | LiveNotice)['type']>();
});

test('families and services have the types that the contract gives them', () => {
  expectTypeOf<Generated.ChannelFamily>().toEqualTypeOf<Family<typeof contract>>();
  expectTypeOf<Generated.EventTypesByFamily>().toEqualTypeOf<{
    [F in Family<typeof contract>]: EventOn<F extends 'global' ? 'global' : `${F}.*`>['type'];
  }>();
  expectTypeOf<Generated.Service>().toEqualTypeOf<Service<typeof contract>>();
  expectTypeOf<Generated.EventTypesByService>().toEqualTypeOf<{ [S in Service<typeof contract>]: EventTypeOf<S> }>();
  expect(GENERATED_TYPES).toEqual(EVENT_TYPES);
  expect(GENERATED_HASH).toBe(CONTRACT_HASH);
});

test('entities have the states of their schemas', () => {
  expectTypeOf<Generated.EntityName>().toEqualTypeOf<EntityName<typeof contract>>();
  expectTypeOf<Generated.StateByEntity>().toEqualTypeOf<{ [E in Generated.EntityName]: Exact<StateOf<E>> }>();
  expectTypeOf<EntityName<Generated.Contract>>().toEqualTypeOf<EntityName<typeof contract>>();
  expectTypeOf<Generated.OrderState>().toEqualTypeOf<Exact<StateOf<'order'>>>();
  expectTypeOf<Generated.Contract>().toExtend<TypedContract>();
});

test('a contract without entities says nothing of them, and everything else', () => {
  const { 'x-entities': entities = {}, ...without } = DOCUMENT;
  const [all, none] = [typescriptOf(DOCUMENT, 'h'), typescriptOf(without, 'h')];
  expect(Object.keys(entities)).not.toEqual([]);
  expect(none).not.toMatch(/State|Entity/);
  expect(none).toContain('    ids: IdFieldByFamily;\n  };\n}\n');
  // What is more stands between the ids and the contract, and in one field of that.
  const start = all.indexOf('/** A backtest: how far it has come');
  const end = all.indexOf('/** The types of the contract: ');
  expect(0 < start && start < end).toBe(true);
  expect(`${all.slice(0, start)}${all.slice(end)}`.replace('\n    states: StateByEntity;', '')).toBe(none);
});

test('client/src/contract.ts is what the contract gives: renew it with `courier contract export --format typescript`', () => {
  const committed = readFileSync(new URL('../../../client/src/contract.ts', import.meta.url), 'utf8');
  expect(committed).toBe(typescriptOf(DOCUMENT, CONTRACT_HASH));
});

describe('the printer', () => {
  /** The body of the interface of a single type with this data. */
  const printed = (data: JsonSchema) => {
    const document = {
      ...DOCUMENT,
      $defs: { 'test.happened': { properties: { data } } },
      'x-services': { tester: ['test.happened'] },
      'x-channels': {},
      'x-notices': [],
    } satisfies ContractDocument;
    return /interface TestHappenedData \{\n([\s\S]*?)\n\}/.exec(typescriptOf(document, ''))?.[1]?.replaceAll(/^ {2}/gm, '');
  };
  const field = (schema: JsonSchema) => printed({ type: 'object', properties: { a: schema }, required: ['a'] });

  test.each<[JsonSchema, string]>([
    [{ type: 'string', minLength: 1, pattern: 'x', format: 'date' }, 'a: string;'],
    [{ type: 'integer', minimum: 0 }, 'a: number;'],
    [{ type: ['string', 'null'] }, 'a: string | null;'],
    [{ type: 'string', enum: ["it's", 'plain', '"', 1, null] }, `a: "it's" | 'plain' | '"' | 1 | null;`],
    [{ const: true }, 'a: true;'],
    [{ description: 'Anything.' }, '/** Anything. */\na: unknown;'],
    [{ anyOf: [{ type: 'string' }, { type: 'number' }, { type: 'integer' }] }, 'a: string | number;'],
    [{ type: 'array', items: { type: ['string', 'null'] } }, 'a: (string | null)[];'],
    [{ type: 'array' }, 'a: unknown[];'],
    [{ type: 'object', additionalProperties: { type: 'number' }, propertyNames: { maxLength: 3 } }, 'a: Record<string, number>;'],
    [{ type: 'object', properties: { 'b-c': { type: 'object', properties: { d: {} } } } }, "a: {\n  'b-c'?: {\n    d?: unknown;\n  };\n};"],
    [{ description: 'No */ end.', type: 'null' }, '/** No *\\/ end. */\na: null;'],
  ])('%j', (schema, expected) => {
    expect(field(schema)).toBe(expected);
  });

  test('long comments and unions are broken as the formatter would', () => {
    const words = Array.from({ length: 30 }, (_, index) => `word${index}`);
    const text = field({ description: words.join(' '), enum: words }) ?? '';
    expect(text).toMatch(/^\/\*\*\n( \* word.*\n){2,} \*\/\na:\n( {2}\| 'word\d+'\n?){30}/);
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(138);
  });

  test.each<[JsonSchema, string]>([
    [{ type: 'string', contentEncoding: 'base64' }, 'test.happened: data.a says contentEncoding, for which no type is known'],
    [{ type: 'array', items: { not: {} } }, 'test.happened: data.a[] says not, for which no type is known'],
    [{ type: 'object', propertyNames: { enum: ['x'] } }, 'test.happened: data.a is no object of free keys'],
    [{ type: 'object', properties: {}, additionalProperties: {} }, 'test.happened: data.a is no object of named fields'],
    [{ const: {} }, 'test.happened: data.a takes {}, which is no literal type'],
    [{ minimum: 1 }, 'test.happened: data.a has no type'],
    [{ type: 'string', anyOf: [] }, 'test.happened: data.a has no type'],
  ])('%j is refused', (schema, message) => {
    expect(() => field(schema)).toThrow(new TypeError(message));
  });

  test('a state that has no type is refused, with its entity and place', () => {
    const state = { type: 'object', properties: { a: { type: 'array', items: { not: {} } } } } as const;
    const lamp = { description: 'A lamp.', key: ['id'], types: [], families: [], version: 1, folds: '', state };
    const document = { ...DOCUMENT, 'x-entities': { lamp } };
    expect(() => typescriptOf(document, '')).toThrow(new TypeError('lamp: state.a[] says not, for which no type is known'));
  });

  test('a state is an interface of its own, called after its entity', () => {
    const state: JsonSchema = { type: 'object', properties: { watts: { type: 'integer' }, note: { type: 'string' } }, required: ['watts'] };
    const about = { description: 'A lamp.', key: ['id'], types: [], families: [], version: 1, folds: '', state };
    const printedOf = typescriptOf({ ...DOCUMENT, 'x-entities': { street_lamp: about } }, '');
    expect(printedOf).toContain(`/** A lamp. */
export interface StreetLampState {
  watts: number;
  note?: string;
}

/** The state of each entity. */
export interface StateByEntity {
  street_lamp: StreetLampState;
}

export type EntityName = keyof StateByEntity;
`);
    expect(printedOf).toContain('    ids: IdFieldByFamily;\n    states: StateByEntity;\n  };');
  });

  test('two types whose data would have the same name are refused', () => {
    const document = { ...DOCUMENT, 'x-services': { tester: ['a.b', 'a_b'] }, 'x-notices': [] };
    expect(() => typescriptOf(document, '')).toThrow(new TypeError('a_b: its data would be called as that of a.b'));
  });
});
