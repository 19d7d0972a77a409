import { expect, test } from 'vitest';
import { mayPublish, mayRead, principalOf } from '../../src/auth/principal.ts';
import type { Role } from '../../src/contract/admin.ts';
import { channelSetOf, contract, type EventType } from '../helpers/lumiere.ts';

const later = Date.now() + 60_000;
const who = (sub: string, role: Role, subscribe: string[] = [], publish: string[] = []) =>
  principalOf(contract, sub, role, { subscribe, publish }, later);

test.each<[string, ReturnType<typeof who>, string, boolean]>([
  ['a user reads global', who('u1', 'user'), 'global', true],
  ['a user reads its own channel', who('u1', 'user'), 'user.u1', true],
  ["not another's", who('u1', 'user'), 'user.u2', false],
  ['not all users', who('u1', 'user'), 'user.*', false],
  ['not everything', who('u1', 'user'), '**', false],
  ['a strategy that is granted', who('u1', 'user', ['strategy.s1']), 'strategy.s1', true],
  ['not the family of a granted strategy', who('u1', 'user', ['strategy.s1']), 'strategy.*', false],
  ['a family that is granted', who('u1', 'user', ['strategy.*']), 'strategy.*', true],
  ['a pattern of which only a part is granted', who('u1', 'user', ['strategy.*']), '*.u1', false],
  ['a user whose name is no channel segment reads global', who('a b@c', 'user'), 'global', true],
  ['a service reads everything', who('forge', 'service'), '**', true],
  ['an admin reads everything', who('root', 'admin'), '**', true],
])('reading: %s', (_name, principal, pattern, allowed) => expect(mayRead(principal, channelSetOf([pattern]))).toBe(allowed));

test.each<[string, ReturnType<typeof who>, EventType, string, boolean]>([
  ['a user publishes nothing', who('u1', 'user'), 'forge.job.started', 'user.u1', false],
  ['a user publishes what is granted', who('u1', 'user', [], ['forge.job.*']), 'forge.job.started', 'forge.job.j', true],
  ['but only where the contract allows the type', who('u1', 'user', [], ['**']), 'forge.job.started', 'backtest.b', false],
  ['a service publishes its own types', who('forge', 'service'), 'forge.job.started', 'global', true],
  ["not another's", who('forge', 'service'), 'backtest.started', 'global', false],
  ["not another's with a grant either", who('forge', 'service', [], ['**']), 'backtest.started', 'global', false],
  ['a service of no name publishes nothing', who('reader', 'service'), 'backtest.started', 'global', false],
  ["a user with a service's name is no service", who('forge', 'user'), 'forge.job.started', 'global', false],
  ['an admin publishes everything', who('root', 'admin'), 'trade.executed', 'strategy.s', true],
])('publishing: %s', (_name, principal, type, channel, allowed) => expect(mayPublish(contract, principal, type, channel)).toBe(allowed));
