/** The contract of a bank, whose accounts and owners are kept as states; with another reducer in its second version. */
import { z } from 'zod';
import { defineContract, defineEntity, defineService, earlierVersion } from '../../src/contract/define.ts';
import type { EntityDefinition } from '../../src/contract/definition.ts';
import { id } from '../../src/contract/fields.ts';

const account_id = id;

const teller = defineService({
  events: {
    'account.opened': {
      on: ['account'],
      description: 'An account was opened.',
      data: z.strictObject({ account_id, owner: id }),
      examples: [{ account_id: 'a1', owner: 'ada' }],
    },
    'account.moved': {
      on: ['account'],
      description: 'Money came or went.',
      data: z.strictObject({ account_id, owner: id, amount: z.int() }),
      examples: [{ account_id: 'a1', owner: 'ada', amount: 5 }],
    },
    'account.closed': {
      on: ['account'],
      description: 'An account was closed.',
      data: z.strictObject({ account_id }),
      examples: [{ account_id: 'a1' }],
    },
    'account.erased': {
      on: ['account'],
      description: 'An account was never there.',
      data: z.strictObject({ account_id }),
      examples: [{ account_id: 'a1' }],
    },
  },
});

const types = ['account.opened', 'account.moved', 'account.closed', 'account.erased'] as const;
const first = z.strictObject({ total: z.int(), moves: z.int(), closed: z.boolean() });

const accounts = defineEntity({
  description: 'An account.',
  of: [teller],
  types: [...types],
  key: ['account_id'],
  state: first,
  open: ({ closed }) => !closed,
  reduce: (before = { total: 0, moves: 0, closed: false }, { type, data }) => {
    if (type === 'account.erased') return undefined;
    if (type === 'account.closed') return { ...before, closed: true };
    if (type === 'account.opened') return { ...before, closed: false };
    return { ...before, total: before.total + data.amount, moves: before.moves + 1 };
  },
});

/** It counts what came only, in cents. What it was before is not known where more went than came. */
const accountsOfSecond = defineEntity({
  description: 'An account.',
  of: [teller],
  types: [...types],
  key: ['account_id'],
  state: z.strictObject({ cents: z.int(), closed: z.boolean() }),
  version: 2,
  open: ({ closed }) => !closed,
  reduce: (before = { cents: 0, closed: false }, { type, data }) => {
    if (type === 'account.erased') return undefined;
    if (type === 'account.closed') return { ...before, closed: true };
    if (type === 'account.opened') return { ...before, closed: false };
    return { ...before, cents: before.cents + 100 * Math.max(0, data.amount) };
  },
  migrate: {
    1: earlierVersion(first, ({ total, closed }) => {
      if (total < 0) throw new RangeError('more went than came');
      return { cents: 100 * total, closed };
    }),
  },
});

const owners = defineEntity({
  description: 'Who owns accounts.',
  of: [teller],
  types: ['account.opened', 'account.moved'],
  key: ['owner'],
  state: z.strictObject({ moves: z.int(), last: z.string() }),
  open: () => true,
  reduce: (before, { type, data }) => ({ moves: (before?.moves ?? 0) + (type === 'account.moved' ? 1 : 0), last: data.account_id }),
});

function bank(entities: Readonly<Record<string, EntityDefinition>>) {
  return defineContract({ name: 'bank', families: { account: { id: 'account_id' } }, services: { teller }, entities });
}

const { migrate: _, ...withoutMigrate } = accountsOfSecond;

export const BANKS = {
  first: bank({ account: accounts, owner: owners }),
  second: bank({ account: accountsOfSecond, owner: owners }),
  secondWithoutMigrate: bank({ account: withoutMigrate, owner: owners }),
  withoutAccounts: bank({ owner: owners }),
  withoutStates: bank({}),
} as const;

export default BANKS.first;
