/** What the gateway refuses of a call is named as the caller wrote it, though the client sends lists in an order of their own. */
import { expect, test } from 'vitest';
import type { CourierClient, CourierError } from '../../client/src/index.ts';
import { startGateway } from '../helpers/gateway.ts';
import { clientOf } from './states.ts';

type Options = Readonly<Record<string, unknown>>;
/** Asks for something that is refused. */
type Call = (client: CourierClient, channels: string | readonly string[], options: Options) => Promise<unknown>;

/** As JavaScript calls it: the compiler would refuse much of this. */
const CALLS: Readonly<Record<string, Call>> = {
  subscribe: async (client, channels, options) => {
    for await (const _event of client.subscribe(channels as 'global', options)) break;
  },
  history: (client, channels, options) => client.history(channels as never, options as never),
  iterateHistory: async (client, channels, options) => {
    for await (const _event of client.iterateHistory(channels as never, options as never)) break;
  },
  state: (client, channels, { entity = 'order', ...options }) => client.state(channels as never, entity as never, options as never).ready,
  readState: (client, channels, { entity = 'order', ...options }) => client.readState(channels as never, entity as never, options as never),
};

type Case = readonly [calls: readonly string[], channels: string | readonly string[], options: Options, path: string, message: RegExp];
const ALL = Object.keys(CALLS);
const STATE = ['state', 'readState'];
const EVENTS = ['subscribe', 'history', 'iterateHistory'];
const CASES: readonly Case[] = [
  [ALL, 'xx..y', {}, 'channels', /neither a channel nor a pattern/],
  [ALL, ['xx..y'], {}, 'channels.0', /neither a channel nor a pattern/],
  [ALL, ['strategy.*', 'global', 'aa..b', 'strategy.*'], {}, 'channels.2', /neither a channel nor a pattern/],
  [EVENTS, 'global', { types: ['order.placed', 'nope', 'order.filled'] }, 'types.1', /must be one of/],
  [['history'], 'global', { limit: 1001 }, 'limit', /must be at most 1000/],
  [['iterateHistory'], 'global', { pageSize: 1001 }, 'pageSize', /must be at most 1000/],
  [STATE, 'strategy.*', { entity: 'nope' }, 'entity', /there is no entity "nope"/],
  [STATE, 'strategy.*', { keys: ['o1', 'k'.repeat(513), 'a'] }, 'keys.1', /must have at most 512 characters/],
  [STATE, 'strategy.*', { where: { 'state.status': 'nope' } }, 'where.state.status', /must be one of "open"/],
  [STATE, 'strategy.*', { where: { 'state.status': ['open', 'nope', 'filled'] } }, 'where.state.status.1', /must be one of "open"/],
  [STATE, 'strategy.*', { where: { 'state.status': ['open', 'cancelled', 5] } }, 'where.state.status.2', /must be one of "open"/],
  [STATE, 'strategy.*', { where: { 'state.symbol': 5 } }, 'where.state.symbol', /must be a string/],
  [STATE, 'strategy.*', { where: { 'state.symbol': Array.from({ length: 101 }, (_, n) => `s${n}`) } }, 'where.state.symbol', /at most 100/],
  [STATE, 'strategy.*', { where: { 'state.colour': ['red'] } }, 'where.state.colour', /has no field "colour"/],
];

test.each(CASES.flatMap(([calls, ...rest]) => calls.map((call) => [call, ...rest] as const)))(
  '%s of %j with %j names %s',
  async (call, channels, options, path, message) => {
    await using gateway = await startGateway();
    await using client = clientOf(gateway, await gateway.token('root', 'admin'));
    const error = await (CALLS[call] as Call)(client, channels, options).then(
      () => undefined,
      (thrown: CourierError) => thrown,
    );
    expect(error).toMatchObject({ code: 'BAD_REQUEST', issues: [{ path, message: expect.stringMatching(message) }] });
    expect(error?.message).toBe(`${path}: ${error?.issues?.[0]?.message}`);
  },
);

test('each of those who share a watch is told of what it wrote itself', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('root', 'admin'));
  const pathOf = ({ ready }: { readonly ready: Promise<void> }) =>
    ready.then(
      () => undefined,
      ({ issues }: CourierError) => issues?.[0]?.path,
    );
  const [b, a] = ['xx..y', 'global'] as unknown as ['global', 'global'];
  expect(await Promise.all([pathOf(client.state([b, a], 'order')), pathOf(client.state([a, b], 'order'))])).toEqual([
    'channels.0',
    'channels.1',
  ]);
});
