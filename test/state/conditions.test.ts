/** Which values `where` takes: those that the field can have, wherever it stands. Anything else is a mistake, and is told as one. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineContract, defineEntity, defineService } from '../../src/contract/define.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';

const data = z.strictObject({
  name: z.string().min(1).max(20),
  note: z.string().optional(),
  count: z.int().min(0),
  weight: z.number().optional(),
  kind: z.enum(['box', 'jar']),
  isFull: z.boolean(),
  size: z.union([z.literal('any'), z.number()]).optional(),
});
const shop = defineService({
  events: {
    'thing.put': {
      on: ['shelf'],
      description: 'A thing was put on a shelf.',
      data,
      examples: [{ name: 'x', count: 1, kind: 'box', isFull: true }],
    },
  },
});
const about = { of: [shop], types: ['thing.put'], key: ['name'], open: () => true } as const;
const thing = defineEntity({ ...about, description: 'A thing.', state: data, reduce: (_before, { data: put }) => put });
/** The same field may take other values elsewhere. */
const crate = defineEntity({
  ...about,
  description: 'A crate.',
  state: z.strictObject({ kind: z.enum(['crate', 'box']), count: z.string() }),
  reduce: (_before, { data: { count } }) => ({ kind: 'crate' as const, count: `${count}` }),
});
const contract = defineContract({ name: 'shop', families: { shelf: { id: 'shelf_id' } }, services: { shop }, entities: { thing, crate } });

interface Page {
  readonly items?: readonly { readonly key: string }[];
  readonly code?: string;
  readonly issues?: readonly { readonly path: string; readonly message: string }[];
}

async function started(): Promise<TestGateway> {
  const gateway = await startGateway({}, {}, { contract });
  const headers = { authorization: `Bearer ${await gateway.token('shop', 'service')}`, 'content-type': 'application/json' };
  for (const [name, more] of [
    ['a', { count: 1, kind: 'box', isFull: true, weight: 0.5, size: 'any' }],
    ['b', { count: 2, kind: 'jar', isFull: false, note: '', size: 7 }],
    ['c', { count: 3, kind: 'box', isFull: false, note: '3' }],
  ] as const) {
    const body = JSON.stringify({ type: 'thing.put', channel: 'shelf.s1', data: { name, ...more } });
    expect((await fetch(`${gateway.url}/publish`, { method: 'POST', headers, body })).status).toBe(201);
  }
  return gateway;
}

async function read(gateway: TestGateway, target: string): Promise<Page> {
  const response = await fetch(gateway.url + target, { headers: { authorization: `Bearer ${await gateway.token('root', 'admin')}` } });
  return (await response.json()) as Page;
}

/** Over tRPC, with the input as superjson writes it. */
async function call(gateway: TestGateway, where: unknown, entities: readonly string[] = ['thing'], meta?: object): Promise<Page> {
  const input = JSON.stringify({ json: { channels: ['shelf.*'], entities, where }, meta });
  const answer = (await read(gateway, `/trpc/state.get?input=${encodeURIComponent(input)}`)) as {
    result?: { data: { json: Page } };
    error?: { json: { data: Page } };
  };
  return answer.result?.data.json ?? answer.error?.json.data ?? {};
}

const inAddress = (gateway: TestGateway, query: string, entity = 'thing') => read(gateway, `/state/shelf.*?entity=${entity}&${query}`);
const keysOf = ({ items, issues }: Page) => (issues === undefined ? items?.map(({ key }) => key).join('') : issues);

describe('what the field can have selects', () => {
  test.each<[query: string, where: object, keys: string]>([
    ['state.name=a', { 'state.name': 'a' }, 'a'],
    ['state.name=a,z', { 'state.name': ['a', 'z'] }, 'a'],
    ['state.note=', { 'state.note': '' }, 'b'],
    ['state.note=3', { 'state.note': '3' }, 'c'],
    ['state.count=2', { 'state.count': 2 }, 'b'],
    ['state.weight=0.50', { 'state.weight': 0.5 }, 'a'],
    ['state.weight=5e-1', { 'state.weight': 0.5 }, 'a'],
    ['state.isFull=false', { 'state.isFull': false }, 'bc'],
    ['state.kind=jar&state.isFull=false', { 'state.kind': 'jar', 'state.isFull': false }, 'b'],
    ['state.size=any,7', { 'state.size': ['any', 7] }, 'ab'],
  ])('%s', async (query, where, keys) => {
    await using gateway = await started();
    expect([keysOf(await inAddress(gateway, query)), keysOf(await call(gateway, where))]).toEqual([keys, keys]);
  });

  test('in one of several entities', async () => {
    await using gateway = await started();
    expect(keysOf(await inAddress(gateway, 'state.kind=crate,jar', 'thing,crate'))).toBe('abbc');
    expect(keysOf(await inAddress(gateway, 'state.count=3', 'thing,crate'))).toBe('cc');
    expect(keysOf(await call(gateway, { 'state.kind': ['crate', 'jar'] }, ['thing', 'crate']))).toBe('abbc');
    const message = 'must be one of "box", "jar", or must be one of "crate", "box"';
    expect(keysOf(await call(gateway, { 'state.kind': 'can' }, ['thing', 'crate']))).toEqual([{ path: 'where.state.kind', message }]);
  });
});

const KIND = 'must be one of "box", "jar"';
const TEXT = 'must be a string';
const WHOLE = 'must be an integer';
const NUMBER = 'must be a number';
const BOOLEAN = 'must be true or false';
const SCALAR = 'must be a text, a number or a boolean, or a list of them';

describe('what the field can never have is refused, with what it takes', () => {
  test.each<[query: string, path: string, message: string]>([
    ['state.kind=can', 'state.kind', KIND],
    ['state.kind=box,can', 'state.kind', KIND],
    ['state.kind=', 'state.kind', KIND],
    ['state.name=', 'state.name', 'must have at least 1 character'],
    [`state.name=${'x'.repeat(21)}`, 'state.name', 'must have at most 20 characters'],
    ['state.count=', 'state.count', NUMBER],
    ['state.count=NaN', 'state.count', NUMBER],
    ['state.count=Infinity', 'state.count', NUMBER],
    ['state.count=two', 'state.count', NUMBER],
    ['state.count=0x2', 'state.count', NUMBER],
    ['state.count=%202', 'state.count', NUMBER],
    ['state.count=1e999', 'state.count', NUMBER],
    ['state.isFull=TRUE', 'state.isFull', BOOLEAN],
    ['state.isFull=1', 'state.isFull', BOOLEAN],
    ['state.isFull=', 'state.isFull', BOOLEAN],
    ['state.colour=red', 'state.colour', 'thing has no field "colour"'],
    [`state.note=${Array(101).fill('n').join()}`, 'state.note', 'must have at most 100 elements'],
    [`state.note=${'n'.repeat(1001)}`, 'state.note', 'must have at most 1000 characters'],
    [Array.from({ length: 11 }, (_, index) => `state.f${index}=1`).join('&'), 'state.*', 'must have at most 10 fields'],
  ])('in an address: %s', async (query, path, message) => {
    await using gateway = await started();
    expect(await inAddress(gateway, query)).toMatchObject({ code: 'BAD_REQUEST', issues: [{ path, message }] });
  });

  test('in an address: more entities than there may be', async () => {
    await using gateway = await started();
    const message = 'must have at most 64 elements';
    expect(await inAddress(gateway, '', Array(65).fill('thing').join())).toMatchObject({ issues: [{ path: 'entity', message }] });
  });

  test.each<[what: string, where: unknown, path: string, message: string]>([
    ['an unknown value', { 'state.kind': 'can' }, 'where.state.kind', KIND],
    ['one in a list', { 'state.kind': ['box', 'can'] }, 'where.state.kind.1', KIND],
    ['a number for a text', { 'state.note': 3 }, 'where.state.note', TEXT],
    ['a text for a number', { 'state.count': '2' }, 'where.state.count', NUMBER],
    ['a boolean for a number', { 'state.count': [1, true] }, 'where.state.count.1', NUMBER],
    ['a part of a whole number', { 'state.count': 0.5 }, 'where.state.count', WHOLE],
    ['a number that is out of bounds', { 'state.count': -1 }, 'where.state.count', 'must be at least 0'],
    [
      'a number that no state can have',
      { 'state.weight': 2 ** 60 },
      'where.state.weight',
      expect.stringMatching(/^must be from -9/) as never,
    ],
    ['half of a character', { 'state.note': '\ud800' }, 'where.state.note', expect.stringMatching(/^must be well-formed/) as never],
    ['a text for a boolean', { 'state.isFull': 'true' }, 'where.state.isFull', BOOLEAN],
    ['nothing', null, 'where', 'must be an object, with values by fields such as state.symbol'],
    ['a list', [], 'where', 'must be an object, with values by fields such as state.symbol'],
    ['a text', 'state.kind=box', 'where', 'must be an object, with values by fields such as state.symbol'],
    ['nothing of a field', { 'state.kind': null }, 'where.state.kind', SCALAR],
    ['an object of a field', { 'state.kind': {} }, 'where.state.kind', SCALAR],
    ['a list in a list', { 'state.kind': [['box']] }, 'where.state.kind.0', SCALAR],
    ['an empty list', { 'state.kind': [] }, 'where.state.kind', 'must have at least 1 element'],
    ['a long list', { 'state.kind': Array(101).fill('box') }, 'where.state.kind', 'must have at most 100 elements'],
    ['a long text', { 'state.note': 'n'.repeat(1001) }, 'where.state.note', 'must have at most 1000 characters'],
    ['no field of the state', { kind: 'box' }, 'where.kind', 'must be a field of the state, such as state.symbol'],
    [
      'many fields',
      Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`state.f${index}`, 1])),
      'where',
      'must have at most 10 fields',
    ],
  ])('over tRPC: %s', async (_what, where, path, message) => {
    await using gateway = await started();
    expect(await call(gateway, where)).toMatchObject({ code: 'BAD_REQUEST', issues: [{ path, message }] });
  });

  test.each([
    ['a date', '2026-01-02T03:04:05Z', 'Date'],
    ['nothing, as superjson has it', null, 'undefined'],
  ])('over tRPC: %s', async (_what, value, type) => {
    await using gateway = await started();
    const meta = { values: { 'where.state\\.count': [type] } };
    expect(await call(gateway, { 'state.count': value }, ['thing'], meta)).toMatchObject({
      issues: [{ path: 'where.state.count', message: SCALAR }],
    });
  });

  test('over tRPC: 100,000 values in one sentence', async () => {
    await using gateway = await started();
    const { trpc, [Symbol.asyncDispose]: close } = gateway.webSocketClient(await gateway.token('root', 'admin'));
    const where = { 'state.kind': Array(100_000).fill('box') } as never;
    const asked = trpc.state.get.query({ channels: ['shelf.*'], entities: ['thing' as never], where });
    await expect(asked).rejects.toThrow(/^where\.state\.kind: must have at most 100 elements$/);
    await close();
  });
});
