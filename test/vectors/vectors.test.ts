/** The vectors are what README.md says that they are, and leave out nothing of the contract. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, test } from 'vitest';

import { CLOSE_CODES, ERROR_CODES, GAP_REASONS } from '../../src/contract/index.ts';
import { DOCUMENT, EVENT_TYPES } from '../helpers/lumiere.ts';
import { allVectors, type Ending, readVectors, type SubscribeVector, sentEvents, VECTOR_FILES, vectorOf } from './vector.ts';

const VECTORS = allVectors();
const SUBSCRIBING = VECTORS.flatMap(({ ref, vector }) => ('subscribe' in vector ? [{ ref, vector }] : []));
const READING = VECTORS.flatMap(({ ref, vector }) => ('publish' in vector || 'publish_batch' in vector ? [] : [{ ref, vector }]));
const endings = ({ connections }: SubscribeVector): Ending[] => connections.flatMap(({ end }) => (end === undefined ? [] : [end]));

test.each(VECTOR_FILES)('%s fits the schema, and each name in it is there once', (file) => {
  const names = readVectors(file).map(({ name }) => name);
  expect(names).toEqual([...new Set(names)]);
});

test('what does not fit the schema is refused, with what is wrong', () => {
  const { vector } = VECTORS[0] as (typeof VECTORS)[number];
  expect(vectorOf(vector)).toBe(vector);
  expect(() => vectorOf({ ...vector, why: undefined })).toThrow(/why/);
  expect(() => vectorOf({ ...vector, surprise: 1 })).toThrow(/unevaluated/);
  expect(() => vectorOf('gaps.json#nowhere')).toThrow(/there is no vector "gaps.json#nowhere"/);
  expect(() => vectorOf('../package.json#x')).toThrow(/there is no vector/);
});

test('a connection that stays is the last, and a subscription that does not end has one', () => {
  for (const { ref, vector } of SUBSCRIBING) {
    const stays = vector.connections.map(({ end }) => end === 'stay');
    expect(stays.slice(0, -1), ref).not.toContain(true);
    if (vector.result.ends === null) expect(stays.at(-1), ref).toBe(true);
    expect(vector.connections.length === 0, ref).toBe(vector.gateway?.away === true);
  }
});

test('after an error no connection is refused: over tRPC there is one', () => {
  for (const { ref, vector } of SUBSCRIBING) {
    for (const [index, { end }] of vector.connections.entries()) {
      if (typeof end === 'object' && 'error' in end) expect(vector.connections[index + 1]?.refuse, ref).toBeUndefined();
    }
  }
});

test('what is expected is sent', () => {
  for (const { ref, vector } of READING) {
    const sent = sentEvents(vector).map(({ id }) => id);
    const results = 'events' in vector.result ? vector.result.events : [];
    for (const form of results) expect(sent, ref).toContain(typeof form === 'string' ? form : form.id);
  }
});

test('what only one protocol has is for that one only', () => {
  for (const { ref, vector } of VECTORS) {
    if ('publish' in vector) {
      const isPage = vector.answers.some((answer) => typeof answer === 'object' && 'status' in answer);
      expect(isPage, ref).toBe(vector.only === 'plain');
    } else if ('subscribe' in vector) {
      const isRenewed = vector.connections.some(({ send = [] }) => send.some((item) => 'refreshed' in item));
      const isMoved = endings(vector).some((end) => typeof end === 'object' && 'drain' in end && end.drain.meanwhile !== undefined);
      if (isRenewed || isMoved) expect(vector.only, ref).toBe('trpc');
    }
  }
});

test('what a client does not send it refuses with what is wrong', () => {
  for (const { ref, vector } of VECTORS) {
    if (!('publish' in vector) || vector.answers.length > 0 || vector.gateway?.away) continue;
    expect(vector.result, ref).toMatchObject({ error: { issues: [{ path: expect.any(String) }] } });
  }
});

test('what to do about a gap is said only where there is one', () => {
  for (const { ref, vector } of SUBSCRIBING) {
    const hasGap = vector.connections.some(({ send = [] }) => send.some((item) => 'gap' in item));
    if (!hasGap) expect(vector.subscribe.on_gap ?? vector.client?.on_gap, ref).toBeUndefined();
  }
});

test('a gateway that is away for good is not asked again', () => {
  for (const { ref, vector } of VECTORS) {
    const script = 'subscribe' in vector ? vector.connections.map(({ end }) => end) : vector.answers;
    expect(script.slice(0, -1), ref).not.toContain('away');
    if (vector.gateway?.away) expect(script, ref).toEqual([]);
  }
});

test('events fit the contract', () => {
  const ajv = addFormats.default(new Ajv2020({ strict: false }));
  const { $defs } = DOCUMENT;
  for (const { ref, vector } of READING) {
    for (const event of sentEvents(vector)) {
      const schema = $defs[event.type];
      if (schema !== undefined) expect([ajv.validate(schema, event), ajv.errors], ref).toEqual([true, null]);
    }
  }
});

describe('there is a vector for', () => {
  test('every event type', () => {
    const types = new Set(SUBSCRIBING.flatMap(({ vector }) => sentEvents(vector).map(({ type }) => type)));
    expect([...types]).toEqual(expect.arrayContaining(EVENT_TYPES));
  });

  test('every reason for a gap, with everything that can be done about it', () => {
    const tried = SUBSCRIBING.flatMap(({ vector: { connections, subscribe } }) =>
      connections.flatMap(({ send = [] }) => send.flatMap((item) => ('gap' in item ? [`${item.gap.reason} ${subscribe.on_gap}`] : []))),
    );
    const all = GAP_REASONS.flatMap((reason) => ['continue', 'collect', 'fail'].map((how) => `${reason} ${how}`));
    expect(tried).toEqual(expect.arrayContaining(all));
  });

  test('every close code', () => {
    const codes = SUBSCRIBING.flatMap(({ vector }) => endings(vector)).flatMap((end) =>
      typeof end === 'object' && 'close' in end ? [end.close] : [],
    );
    expect(codes).toEqual(expect.arrayContaining(Object.keys(CLOSE_CODES).map(Number)));
  });

  test('every error code', () => {
    const codes = VECTORS.flatMap(({ vector }) => {
      if ('subscribe' in vector) return [];
      return vector.answers.flatMap((answer) => (typeof answer === 'object' && 'error' in answer ? [answer.error.code] : []));
    });
    expect(codes).toEqual(expect.arrayContaining(Object.keys(ERROR_CODES)));
  });
});
