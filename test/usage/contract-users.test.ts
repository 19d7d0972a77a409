/** Who used the contract, as admins read it. */
import { expect, test } from 'vitest';
import { connectionsByClient, contractUsersOf } from '../../src/usage/contract-users.ts';
import { clientOf, TODAY } from '../contracts/usage.ts';
import { contract } from '../helpers/lumiere.ts';

const DAY = '2024-10-04';

test('types are in the order of the contract, those of followed families among them, and those that are no more at the end', () => {
  const client = clientOf('ada', {
    'published old.type': TODAY - 3,
    'published backtest.failed': TODAY - 2,
    'published backtest.started': TODAY - 1,
    'named backtest.progress': TODAY,
    'followed forge.job': TODAY,
    'channel backtest': TODAY,
    'channel forge.job': TODAY,
    'channel old': TODAY,
    'channel global': TODAY,
  });
  expect(contractUsersOf(contract, [client], [])).toEqual({
    total: 1,
    users: [
      {
        sub: 'ada',
        role: 'user',
        client: null,
        contract: null,
        published: ['backtest.started', 'backtest.failed', 'old.type'],
        subscribed: ['backtest.progress', 'forge.job.started', 'forge.job.progress', 'forge.job.completed', 'forge.job.failed'],
        channels: ['global', 'backtest.*', 'forge.job.*', 'old.*'],
        connections: 0,
        last_seen: DAY,
      },
    ],
  });
});

test('connections are those of the same client of the same principal, on all instances', () => {
  const ada = { principal: { sub: 'ada', role: 'user' }, identity: { client: 'x/1', contract: null } } as const;
  const others = [
    { principal: { sub: 'ada', role: 'admin' }, identity: ada.identity },
    { ...ada, identity: undefined },
  ] as const;
  const counted = connectionsByClient([ada, ada, ...others]);
  const clients = [clientOf('ada', { 'named a': TODAY }, { client: 'x/1' }), clientOf('eve', { 'named a': TODAY })];
  const { users } = contractUsersOf(contract, clients, [...counted, ...connectionsByClient([ada])]);
  expect(users.map(({ sub, connections }) => [sub, connections])).toEqual([
    ['ada', 3],
    ['eve', 0],
  ]);
});

test('an answer takes 2 MiB at most, however many types there are', () => {
  const uses = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`published ${'x'.repeat(100)}${n}`, TODAY]));
  const answer = contractUsersOf(
    contract,
    Array.from({ length: 500 }, (_, n) => clientOf(`ada${n}`, uses)),
    [],
  );
  const bytes = JSON.stringify(answer).length;
  expect([answer.total, bytes < 2 * 1024 * 1024, bytes > 2_000_000]).toEqual([500, true, true]);
});

test('a thousand are shown: services first, then admins, then users, who used something last first', () => {
  const clients = [
    clientOf('user', { 'named a': TODAY }),
    clientOf('older', { 'named a': TODAY - 1 }),
    clientOf('root', { 'named a': TODAY - 2 }, { role: 'admin' }),
    clientOf('forge', { 'named a': TODAY - 2 }, { role: 'service' }),
    ...Array.from({ length: 1000 }, (_, n) => clientOf(`zoe${n}`, { 'named a': TODAY - 3 })),
  ];
  const { total, users } = contractUsersOf(contract, clients, []);
  expect([total, users.length]).toEqual([1004, 1000]);
  expect(users.slice(0, 4).map(({ sub }) => sub)).toEqual(['forge', 'root', 'user', 'older']);
});
