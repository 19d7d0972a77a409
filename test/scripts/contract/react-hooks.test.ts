/** The hooks that are written for the entities of a contract: their names, and which channels they are of. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { reactHooksOf } from '../../../scripts/contract/react.ts';
import { defineContract, defineEntity, defineService } from '../../../src/contract/define.ts';
import { contractDocument } from '../../../src/contract/document.ts';
import { id } from '../../../src/contract/fields.ts';
import { DOCUMENT } from '../../helpers/lumiere.ts';

const MODULES = { contract: './events.ts', hooks: '@lumiere/courier-client/react' };
/** The hooks by name, as they are made. */
const hooksOf = (text: string) =>
  Object.fromEntries([...text.matchAll(/^export const (\w+) = (.+);$/gm)].map(([, name, made]) => [name, made]));

test('an entity of an id has a hook of that id, any other one of the channels that it is at home on', () => {
  const { useBacktest, useStrategy, useJob, useOrders, usePositions, ...others } = hooksOf(reactHooksOf(DOCUMENT, MODULES));
  expect([useBacktest, useStrategy, useJob, useOrders, usePositions]).toEqual([
    "entityHook<Contract, 'backtest'>('backtest', 'backtest')",
    "entityHook<Contract, 'strategy'>('strategy', 'strategy')",
    "entityHook<Contract, 'job'>('job', 'forge.job')",
    "entitiesHook<Contract, 'order'>('order', 'strategy')",
    "entitiesHook<Contract, 'position'>('position', 'strategy')",
  ]);
  expect(Object.keys(others)).toEqual(['useUserEvents', 'useStrategyEvents', 'useBacktestEvents', 'useForgeJobEvents']);
});

const data = z.strictObject({ user_id: id, name: id });
const example = { user_id: 'u', name: 'n' };
const service = defineService({
  events: { 'user.named': { on: [], description: 'A user has a name.', data, examples: [example] } },
});
const entity = (key: readonly ['user_id'] | readonly ['name']) =>
  defineEntity({
    description: 'What a user has.',
    of: [service],
    types: ['user.named'],
    key,
    state: data,
    open: () => true,
    reduce: (_before, event) => event.data,
  });

test('what is at home on no family is on the channels of users, and takes no name that is taken', () => {
  const contract = defineContract({
    name: 'users',
    families: {},
    services: { service },
    entities: { profile: entity(['user_id']), user_event: entity(['name']) },
  });
  const text = reactHooksOf(contractDocument(contract), MODULES);
  expect(hooksOf(text)).toEqual({
    useUserEvents: 'userHook<Contract>()',
    useProfile: "entityHook<Contract, 'profile'>('profile', 'user')",
    useUserEventStates: "entitiesHook<Contract, 'user_event'>('user_event', 'user')",
  });
  expect(text).toContain("import { entitiesHook, entityHook, userHook } from '@lumiere/courier-client/react';");
});
