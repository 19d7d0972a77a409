/** Whom each change of the contract breaks, of those who used it, and how that reads. */
import { describe, expect, test } from 'vitest';
import { type ContractChange, contractChanges } from '../../../scripts/contract/compatibility.ts';
import { affectedBy, affectedLine } from '../../../scripts/contract/users.ts';
import type { ContractUser } from '../../../src/contract/admin.ts';
import type { ContractDocument } from '../../../src/contract/document.ts';
import { contractDocument } from '../../../src/contract/document.ts';
import { ContractError, defineContract, id, z } from '../../../src/contract/index.ts';
import { DOCUMENT } from '../../helpers/lumiere.ts';

const NEW = 'f'.repeat(16);

function userOf(sub: string, rest: Partial<ContractUser>): ContractUser {
  const unused = { client: null, contract: null, published: [], subscribed: [], channels: [], connections: 0 };
  return { sub, role: 'service', ...unused, last_seen: '2026-01-31', ...rest };
}

const PUBLISHER = userOf('publisher', { published: ['backtest.progress'], channels: ['backtest.*'] });
const SUBSCRIBER = userOf('subscriber', { subscribed: ['backtest.progress'], channels: ['backtest.*', 'strategy.*'] });
const OTHER = userOf('other', { published: ['forge.job.started'], subscribed: ['forge.job.started'], channels: ['forge.job.*'] });
const UP_TO_DATE = userOf('up to date', { ...PUBLISHER, subscribed: SUBSCRIBER.subscribed, sub: 'up to date', contract: NEW });
const USERS = [PUBLISHER, SUBSCRIBER, OTHER, UP_TO_DATE];

function changeOf(change: Partial<ContractChange>): ContractChange {
  return {
    subject: 'backtest.progress',
    path: null,
    change: 'changed',
    publishers: 'compatible',
    subscribers: 'compatible',
    reason: '',
    ...change,
  };
}

const affected = (change: ContractChange, users = USERS) =>
  affectedBy([change], users, NEW).flatMap((one) => one.users.map(({ sub }) => sub));

describe('whom a change breaks', () => {
  test.each<[string, Partial<ContractChange>, readonly string[]]>([
    ['of a type, for publishers', { publishers: 'breaking' }, ['publisher']],
    ['of a type, for subscribers', { subscribers: 'breaking' }, ['subscriber']],
    ['of a type, for both', { publishers: 'breaking', subscribers: 'breaking' }, ['publisher', 'subscriber']],
    ['of a type that nobody used', { subject: 'order.placed', publishers: 'breaking', subscribers: 'breaking' }, []],
    ['of a notice', { publishers: null, subscribers: 'breaking', subject: 'courier.gap' }, ['subscriber', 'other']],
    ['of a type, as it is received only', { publishers: null, subscribers: 'breaking' }, ['subscriber']],
    ['of a family, for both', { subject: 'backtest.{id}', publishers: 'breaking', subscribers: 'breaking' }, ['publisher', 'subscriber']],
    ['of a family, for publishers', { subject: 'backtest.{id}', publishers: 'breaking' }, ['publisher']],
    ['of a family, for subscribers', { subject: 'strategy.{id}', subscribers: 'breaking' }, ['subscriber']],
    ['of a family that nobody used', { subject: 'global', publishers: 'breaking', subscribers: 'breaking' }, []],
    [
      'of a type that leaves a family',
      { path: 'channel', change: 'strategy.{id} removed', publishers: 'breaking', subscribers: 'breaking' },
      ['subscriber'],
    ],
    ['of a type that comes to a family', { path: 'channel', change: 'forge.job.{id} added', subscribers: 'breaking' }, ['other']],
    ['of the contract', { subject: 'contract', publishers: 'breaking', subscribers: 'breaking' }, ['publisher', 'subscriber', 'other']],
    ['that breaks nobody', {}, []],
  ])('%s', (_what, change, subs) => {
    expect(affected(changeOf(change))).toEqual(subs);
  });

  test('every breaking change is listed, in order, and no other', () => {
    const [none, first, second] = [
      changeOf({}),
      changeOf({ publishers: 'breaking' }),
      changeOf({ subject: 'a.b', subscribers: 'breaking' }),
    ];
    expect(affectedBy([none, first, none, second], USERS, NEW)).toEqual([
      { change: first, users: [PUBLISHER] },
      { change: second, users: [] },
    ]);
    expect(affectedBy([none], USERS, NEW)).toEqual([]);
  });
});

test('no type is called as what else a change may be of', () => {
  const contractWith = (type: string) => {
    const event = { on: ['desk'], description: 'N', data: z.strictObject({ desk_id: id }), examples: [{ desk_id: 'd1' }] } as const;
    return defineContract({ name: 'shop', families: { desk: { id: 'desk_id' } }, services: { shop: { events: { [type]: event } } } });
  };
  const { 'x-channels': families, 'x-notices': notices, 'x-drafts': drafts } = contractDocument(contractWith('order.placed'));
  expect(Object.keys(drafts)).toEqual(['order.placed']);
  const forms = Object.values(families).map(({ form }) => form);
  expect(forms).toEqual(expect.arrayContaining(['global', 'user.{id}', 'desk.{id}']));
  for (const name of ['contract', ...forms, ...notices]) expect(() => contractWith(name), name).toThrow(ContractError);
});

describe('how it reads', () => {
  const users = [
    userOf('risk', { client: 'courier-client-python/0.1.0', connections: 2, channels: ['backtest.*'] }),
    userOf('ada', { connections: 1, channels: ['global', 'user.*'] }),
    userOf('eve', {}),
  ];
  test.each<[Partial<ContractChange>, string]>([
    [{ path: 'data.bars_total', change: 'optional field removed' }, 'removing backtest.progress.bars_total'],
    [{ path: 'metadata.user_id', change: 'required field removed' }, 'removing backtest.progress.metadata.user_id'],
    [{ path: 'data.eta', change: 'required field added' }, 'adding backtest.progress.eta'],
    [{ change: 'type removed' }, 'removing backtest.progress'],
    [{ subject: 'backtest.{id}', change: 'channels removed' }, 'removing backtest.{id}'],
    [{ path: 'channel', change: 'strategy.{id} removed' }, 'removing backtest.progress from strategy.{id}'],
    [{ path: 'channel', change: 'strategy.{id} added' }, 'adding backtest.progress to strategy.{id}'],
    [{ path: 'data.progress', change: 'made optional' }, 'backtest.progress.progress: made optional'],
  ])('%o', (change, deed) => {
    expect(affectedLine({ change: changeOf(change), users })).toBe(
      `${deed} breaks: courier-client-python/0.1.0 of sub risk (2 connections, backtest.*); ` +
        'a client without a name of sub ada (1 connection, global, user.*); a client without a name of sub eve (last seen 2026-01-31)',
    );
    expect(affectedLine({ change: changeOf(change), users: [] })).toBe(`${deed} breaks: nobody who used it within the last 30 days`);
  });
});

test('the changes of a real contract name whom they break', () => {
  const later = structuredClone(DOCUMENT) as { -readonly [K in keyof ContractDocument]: ContractDocument[K] } & {
    'x-channels': Record<string, { types: string[] }>;
  };
  const { backtest, strategy } = later['x-channels'];
  if (backtest === undefined || strategy === undefined) throw new Error('there are no such families');
  strategy.types = strategy.types.filter((type) => type !== 'backtest.progress');
  const { 'forge.job.started': _draft, ...drafts } = later['x-drafts'];
  const { 'forge.job.started': _event, ...events } = later.$defs;
  const changes = contractChanges(DOCUMENT, { ...later, 'x-drafts': drafts, $defs: events });
  expect(
    affectedBy(changes, USERS, NEW).map(({ users, ...one }) => [
      affectedLine({ ...one, users: [] }).split(' breaks')[0],
      users.map(({ sub }) => sub),
    ]),
  ).toEqual([
    ['removing backtest.progress from strategy.{id}', ['subscriber']],
    ['removing forge.job.started', ['other']],
  ]);
});
