/** The effect of each change of the contract on publishers and subscribers. */
import { describe, expect, test } from 'vitest';
import { contractChanges, parseContractDocument } from '../../../scripts/contract/compatibility.ts';
import type { ContractDocument } from '../../../src/contract/document.ts';
import type { JsonSchema } from '../../../src/contract/json-schema.ts';
import { DOCUMENT } from '../../helpers/lumiere.ts';

type Writable<T> = T extends object ? { -readonly [K in keyof T]: Writable<T[K]> } : T;

const now = DOCUMENT;

/** The contract with one change. */
function changed(change: (document: Writable<ContractDocument>) => void): ContractDocument {
  const document = structuredClone(now) as Writable<ContractDocument>;
  change(document);
  return document;
}

/** Changes the data of a type in the draft and in the received event, as a change of their one schema would. */
function withData(type: string, change: (data: Writable<JsonSchema>) => void): ContractDocument {
  return changed((document) => {
    for (const part of ['$defs', 'x-drafts'] as const) change(document[part][type]?.properties?.['data'] as Writable<JsonSchema>);
  });
}

const own = (document: Writable<ContractDocument>, part: '$defs' | 'x-drafts', type: string) =>
  document[part][type] as Writable<JsonSchema> & { properties: Record<string, Writable<JsonSchema>> };

const summary = (before: ContractDocument, after: ContractDocument) =>
  contractChanges(before, after).map(({ subject, path, change, publishers, subscribers }) => [
    subject,
    path,
    change,
    publishers ?? '-',
    subscribers ?? '-',
  ]);
const [ok, BREAKS] = ['compatible', 'breaking'];

test('the same contract has no changes', () => {
  expect(contractChanges(now, DOCUMENT)).toEqual([]);
  expect(contractChanges(now, JSON.parse(JSON.stringify(now)))).toEqual([]);
});

test('data concerns both sides, at every level, and there and back', () => {
  const later = withData('backtest.completed', (data) => {
    const metrics = data.properties?.['metrics'];
    Object.assign(metrics?.properties ?? {}, { sortino_ratio: { type: 'number' } });
    Object.assign(metrics?.properties?.['win_rate'] ?? {}, { maximum: 2 });
    Object.assign(data, { required: ['backtest_id'] });
  });
  expect(summary(now, later)).toEqual([
    ['backtest.completed', 'data.metrics', 'made optional', ok, BREAKS],
    ['backtest.completed', 'data.metrics.win_rate', 'maximum 1 → maximum 2', ok, BREAKS],
    ['backtest.completed', 'data.metrics.sortino_ratio', 'optional field added', ok, ok],
  ]);
  expect(summary(later, now)).toEqual([
    ['backtest.completed', 'data.metrics', 'made required', BREAKS, ok],
    ['backtest.completed', 'data.metrics.win_rate', 'maximum 2 → maximum 1', BREAKS, ok],
    ['backtest.completed', 'data.metrics.sortino_ratio', 'optional field removed', BREAKS, ok],
  ]);
});

test('the reason is that of what breaks', () => {
  const reasons = (change: (data: Writable<JsonSchema>) => void) =>
    contractChanges(now, withData('backtest.progress', change)).map(({ reason }) => reason);
  expect(reasons((data) => Object.assign(data.properties ?? {}, { eta: {} }))).toEqual([
    'publishers need not send it; subscribers pass over it',
  ]);
  expect(reasons((data) => Object.assign(data, { required: [] }))).toEqual(['subscribers rely on it', 'subscribers rely on it']);
  expect(reasons((data) => delete data.properties?.['progress'] && Object.assign(data, { required: ['backtest_id'] }))).toEqual([
    'publishers that send it are refused; subscribers rely on it',
  ]);
  expect(reasons((data) => Object.assign(data.properties?.['message'] ?? {}, { description: 'Other words.' }))).toEqual([
    'only the wording',
  ]);
});

test('what only publishers send does not concern subscribers, nor the other way round', () => {
  const draftOnly = changed((document) => {
    const { properties } = own(document, 'x-drafts', 'forge.job.failed');
    delete properties['idempotency_key'];
    Object.assign(properties['metadata'] ?? {}, { required: ['correlation_id'] });
  });
  expect(summary(now, draftOnly)).toEqual([
    ['forge.job.failed', 'metadata.correlation_id', 'made required', BREAKS, '-'],
    ['forge.job.failed', 'idempotency_key', 'optional field removed', BREAKS, '-'],
  ]);
  const receivedOnly = changed((document) => {
    const { properties } = own(document, '$defs', 'forge.job.failed');
    properties['id'] = { type: ['string', 'null'] };
    delete properties['metadata']?.properties?.['user_id'];
  });
  expect(summary(now, receivedOnly)).toEqual([
    ['forge.job.failed', 'id', 'description reworded', '-', ok],
    ['forge.job.failed', 'id', 'type string → string or null', '-', BREAKS],
    ['forge.job.failed', 'metadata.user_id', 'optional field removed', '-', ok],
  ]);
});

test('changes that read alike are not taken for one another', () => {
  const kind = (...anyOf: JsonSchema[]) =>
    withData('forge.job.started', (data) => Object.assign(data.properties ?? {}, { kind: { anyOf } }));
  const takes = (a: JsonSchema, required: string[] = []): JsonSchema => ({ type: 'object', properties: { a }, required });
  const before = kind({ type: 'string' }, takes({ type: 'string' }));
  const after = kind({ type: 'string' }, takes({ type: 'string' }, ['a']), takes({ type: 'number' }));
  expect(summary(before, after)).toEqual([
    ['forge.job.started', 'data.kind', 'alternative removed: object', BREAKS, ok],
    ['forge.job.started', 'data.kind', 'alternative added: object', ok, BREAKS],
    ['forge.job.started', 'data.kind', 'alternative added: object', ok, BREAKS],
  ]);
});

describe('types, services, channels and notices', () => {
  const without = changed((document) => {
    const { 'order.cancelled': _draft, ...drafts } = document['x-drafts'];
    const { 'order.cancelled': _received, ...received } = document.$defs;
    document['x-drafts'] = drafts;
    document.$defs = received;
    for (const family of Object.values(document['x-channels'])) family.types = family.types.filter((type) => type !== 'order.cancelled');
    document['x-services'] = {
      ...document['x-services'],
      chevalier: ['trade.executed', 'order.placed', 'order.filled', 'position.updated'],
    };
  });

  test('a type', () => {
    expect(summary(without, now)).toEqual([['order.cancelled', null, 'type added', ok, ok]]);
    expect(summary(now, without)).toEqual([['order.cancelled', null, 'type removed', BREAKS, BREAKS]]);
  });

  test('the service of a type', () => {
    const moved = changed((document) => {
      document['x-services'] = {
        ...document['x-services'],
        forge: ['forge.job.started', 'forge.job.progress', 'forge.job.completed'],
        prophet: [...(document['x-services']['prophet'] ?? []), 'forge.job.failed'],
      };
    });
    expect(summary(now, moved)).toEqual([['forge.job.failed', null, 'service forge → prophet', BREAKS, ok]]);
  });

  test('a family that carries a type', () => {
    const type = 'strategy.generation.started';
    const narrowed = changed((document) => {
      const family = document['x-channels']['strategy'] as { types: string[] };
      family.types = family.types.filter((each) => each !== type);
      for (const part of ['$defs', 'x-drafts'] as const) {
        const anyOf = own(document, part, 'strategy.generation.started').properties['channel']?.anyOf;
        anyOf?.splice(0, 1);
      }
    });
    expect(summary(now, narrowed)).toEqual([[type, 'channel', 'strategy.{id} removed', BREAKS, BREAKS]]);
    expect(summary(narrowed, now)).toEqual([[type, 'channel', 'strategy.{id} added', ok, BREAKS]]);
  });

  test('a family', () => {
    const more = changed((document) => {
      document['x-channels']['desk'] = { form: 'desk.{id}', name: { type: 'string' }, types: ['order.placed'] };
    });
    expect(summary(now, more)).toEqual([
      ['desk.{id}', null, 'channels added', ok, ok],
      ['order.placed', 'channel', 'desk.{id} added', ok, BREAKS],
    ]);
    expect(summary(more, now)).toEqual([
      ['desk.{id}', null, 'channels removed', BREAKS, BREAKS],
      ['order.placed', 'channel', 'desk.{id} removed', BREAKS, BREAKS],
    ]);
    const renamed = changed((document) => {
      Object.assign(document['x-channels']['user'] ?? {}, { name: { type: 'string', pattern: '^user\\.' } });
    });
    const change = expect.stringMatching(/^pattern \^user.* → \^user\\\.$/);
    expect(summary(now, renamed)).toEqual([['user.{id}', null, change, BREAKS, BREAKS]]);
  });

  test('a notice', () => {
    const fewer = changed((document) => {
      document['x-notices'] = ['courier.gap'];
      const { 'courier.live': _, ...others } = document.$defs;
      document.$defs = others;
    });
    expect(summary(now, fewer)).toEqual([['courier.live', null, 'notice removed', '-', BREAKS]]);
    expect(summary(fewer, now)).toEqual([['courier.live', null, 'notice added', '-', ok]]);
    const reasons = changed((document) => {
      const data = own(document, '$defs', 'courier.gap').properties['data'];
      Object.assign(data?.properties?.['reason'] ?? {}, { enum: ['expired', 'epoch', 'behind'] });
      own(document, '$defs', 'courier.gap').properties['channel'] = { type: 'string', const: 'notices' };
    });
    expect(summary(now, reasons)).toEqual([
      ['courier.gap', 'channel', 'values removed: courier', '-', ok],
      ['courier.gap', 'channel', 'values added: notices', '-', BREAKS],
      ['courier.gap', 'data.reason', 'values removed: ahead, unreadable', '-', ok],
      ['courier.gap', 'data.reason', 'values added: behind', '-', BREAKS],
    ]);
  });
});

const changedOtherwise = expect.stringMatching(/^changed \([0-9a-f]{8} → [0-9a-f]{8}\)$/);

test('parts of the document that are not known are not passed over', () => {
  const other = { ...now, $schema: 'https://json-schema.org/draft/next/schema', title: 'Other', 'x-later': 1 };
  expect(summary(now, other)).toEqual([
    ['contract', '$schema', changedOtherwise, BREAKS, BREAKS],
    ['contract', 'title', 'reworded', ok, ok],
    ['contract', 'x-later', changedOtherwise, BREAKS, BREAKS],
  ]);
  const within = changed((document) => {
    Object.assign(document['x-channels']['strategy'] ?? {}, { later: 1 });
    Object.assign(document['x-types']['order.placed'] ?? {}, { later: 1 });
  });
  expect(summary(now, within)).toEqual([
    ['strategy.{id}', 'later', changedOtherwise, BREAKS, BREAKS],
    ['order.placed', 'later', changedOtherwise, BREAKS, BREAKS],
  ]);
});

describe('what the document says beside its schemas', () => {
  test('names, titles, descriptions, subjects and examples are for people', () => {
    const reworded = changed((document) => {
      document['x-name'] = 'other';
      Object.assign(document['x-channels']['strategy'] ?? {}, { title: 'Another title' });
      Object.assign(document['x-types']['order.placed'] ?? {}, { description: 'Other words.', subject: 'symbol', examples: [{}] });
    });
    expect(summary(now, reworded)).toEqual([
      ['contract', 'x-name', 'reworded', ok, ok],
      ['strategy.{id}', 'title', 'reworded', ok, ok],
      ['order.placed', 'description', 'reworded', ok, ok],
      ['order.placed', 'subject', 'reworded', ok, ok],
      ['order.placed', 'examples', 'reworded', ok, ok],
    ]);
  });

  test('the id of a family binds publishers, and subscribers rely on it, where data has the field', () => {
    const withId = (id: string | undefined) =>
      changed((document) => {
        const { id: _, ...family } = document['x-channels']['strategy'] as Writable<ContractDocument['x-channels'][string]>;
        document['x-channels']['strategy'] = { ...family, ...(id !== undefined && { id }) };
      });
    const none = withId(undefined);
    const row = (change: string, ...sides: string[]) => [['strategy.{id}', 'id', `field of the id ${change}`, ...sides]];
    expect(summary(none, now)).toEqual(row('none → strategy_id', BREAKS, ok));
    expect(summary(now, none)).toEqual(row('strategy_id → none', ok, BREAKS));
    expect(summary(now, withId('order_id'))).toEqual(row('strategy_id → order_id', BREAKS, BREAKS));
    expect(summary(none, withId('nothing_has_it'))).toEqual(row('none → nothing_has_it', ok, ok));
  });

  test('versions and upcasts alone break nobody', () => {
    const next = (more: object) => changed((document) => Object.assign(document['x-types']['order.placed'] ?? {}, more));
    expect(summary(now, next({ version: 2, upcasts: [1] }))).toEqual([
      ['order.placed', 'version', 'version 1 → 2', ok, ok],
      ['order.placed', 'upcasts', 'upcast from 1 added', ok, ok],
    ]);
    expect(summary(next({ version: 3, upcasts: [1, 2] }), next({ version: 3, upcasts: [2] }))).toEqual([
      ['order.placed', 'upcasts', 'upcast from 1 removed', ok, ok],
    ]);
  });

  test('a document that said nothing of types is compared in its other parts', () => {
    const { 'x-types': _types, 'x-name': _name, ...old } = now;
    expect(summary(old as ContractDocument, now)).toEqual([
      ['contract', 'x-name', 'reworded', ok, ok],
      ['contract', 'x-types', 'added', ok, ok],
    ]);
    expect(summary(now, old as ContractDocument)).toContainEqual(['contract', 'x-types', 'removed', BREAKS, BREAKS]);
  });
});

test('the document of another version is read, and nothing else is', () => {
  expect(parseContractDocument(JSON.stringify(now))).toEqual(now);
  for (const [json, reason] of [
    ['{"$defs":', /JSON/],
    ['[]', /expected object/],
    [JSON.stringify({ ...now, 'x-drafts': undefined }), /^x-drafts: /],
    [JSON.stringify({ ...now, 'x-channels': { global: {} } }), /^x-channels\.global\.form: /],
  ] as const)
    expect(() => parseContractDocument(json)).toThrow(reason);
});
