/** Events in earlier forms of their types: readers get the present form on every surface, or are told that they cannot. */
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { EventSource } from 'eventsource';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { CourierClient } from '../../client/src/index.ts';
import { type Contract, defineContract, defineService, earlierVersion, id } from '../../src/contract/index.ts';
import { openSqliteLog } from '../../src/log/sqlite.ts';
import { collect } from '../helpers/collect.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { openSocket } from '../helpers/raw-socket.ts';

const families = { station: { id: 'station_id' } } as const;
const FIRST = z.strictObject({ station_id: id, fahrenheit: z.number() });
const measured = { on: ['station'], description: 'A station has measured.' } as const;

/** The contract as it was: temperatures in Fahrenheit. */
const before = defineContract({
  name: 'weather',
  families,
  services: {
    stations: defineService({
      events: { 'station.measured': { ...measured, data: FIRST, examples: [{ station_id: 'oslo', fahrenheit: 32 }] } },
    }),
  },
});

/** The contract as it is: degrees Celsius, which earlier data is turned into. What no thermometer shows cannot be. */
const after = defineContract({
  name: 'weather',
  families,
  services: {
    stations: defineService({
      events: {
        'station.measured': {
          ...measured,
          data: z.strictObject({ station_id: id, celsius: z.number().min(-100) }),
          examples: [{ station_id: 'oslo', celsius: 0 }],
          version: 2,
          upcast: {
            1: earlierVersion(FIRST, ({ station_id, fahrenheit }) => {
              if (fahrenheit > 1000) throw new RangeError('the thermometer is broken');
              return { station_id, celsius: (fahrenheit - 32) / 1.8 };
            }),
          },
        },
      },
    }),
  },
});

const at = (contract: Contract, path: string) => startGateway({ COURIER_LOG: `sqlite:${path}` }, {}, { contract });

async function publish(gateway: TestGateway, ...data: object[]): Promise<string[]> {
  const body = (one: object) => JSON.stringify({ type: 'station.measured', channel: 'station.oslo', data: { station_id: 'oslo', ...one } });
  const headers = { authorization: `Bearer ${await gateway.token('stations', 'service')}`, 'content-type': 'application/json' };
  const ids: string[] = [];
  for (const one of data) {
    const response = await fetch(`${gateway.url}/publish`, { method: 'POST', headers, body: body(one) });
    expect(response.status).toBe(201);
    ids.push(((await response.json()) as { id: string }).id);
  }
  return ids;
}

interface Read {
  readonly id: string;
  readonly type: string;
  readonly metadata?: { readonly correlation_id?: string };
  readonly data: Readonly<Record<string, unknown>>;
}

/** What is told of an event: its number and what was measured, or why it cannot be read. */
function told({ id: position, type, data }: Read): string {
  const value =
    type === 'courier.gap' ? `${data['reason']} ${[data['requested'], data['resumed_from']].map(numberOf).join('-')}` : data['celsius'];
  return `${numberOf(position)}: ${value}`;
}
const numberOf = (position: unknown) => String(position).split('-')[1];
const isEvent = ({ type }: Read) => type !== 'courier.live';

/** Reads the first `count` events from the beginning, as they come over each surface. */
const SURFACES: Readonly<Record<string, (gateway: TestGateway, count: number) => Promise<readonly Read[]>>> = {
  'tRPC over WebSocket': async (gateway, count) => {
    await using client = gateway.webSocketClient(await gateway.token('root', 'admin'));
    using events = collect<{ data: Read }>((observer) =>
      client.trpc.events.subscribe.subscribe({ channels: ['station.*'], from: 'earliest' }, observer as never),
    );
    return (await events.until((all) => all.filter(({ data }) => isEvent(data)).length >= count)).map(({ data }) => data);
  },
  'tRPC over server-sent events': async (gateway, count) => {
    const client = gateway.httpClient(await gateway.token('root', 'admin'));
    using events = collect<{ data: Read }>((observer) =>
      client.events.subscribe.subscribe({ channels: ['**'], from: 'earliest' }, observer as never),
    );
    return (await events.until((all) => all.filter(({ data }) => isEvent(data)).length >= count)).map(({ data }) => data);
  },
  'plain WebSocket': async (gateway, count) => {
    const token = await gateway.token('root', 'admin');
    await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/station.oslo?from=earliest&token=${token}`);
    return (await socket.count(count + 1)).map((text) => JSON.parse(text) as Read);
  },
  'plain server-sent events': async (gateway, count) => {
    const source = new EventSource(`${gateway.url}/sse/station.*?from=earliest&token=${await gateway.token('root', 'admin')}`);
    const events: Read[] = [];
    await new Promise<void>((resolve) => {
      // The name of an event on this surface is its type, and that of a notice in its place the notice's.
      for (const name of ['station.measured', 'courier.gap']) {
        source.addEventListener(name, ({ data }) => {
          const event = JSON.parse(data) as Read;
          expect(event.type).toBe(name);
          if (events.push(event) === count) resolve();
        });
      }
    });
    source.close();
    return events;
  },
  'pages of history': async (gateway, count) => {
    const events: Read[] = [];
    for (let path = '/events/station.*'; events.length < count; ) {
      const page = await pageOf(gateway, path);
      if (page.gap !== null) events.push({ id: page.gap.resumed_from, type: 'courier.gap', data: { ...page.gap } });
      events.push(...page.events);
      path = `/events/station.*?after=${page.next}`;
    }
    return events;
  },
};

interface Page {
  readonly events: readonly Read[];
  readonly next: string;
  readonly has_more: boolean;
  readonly gap: { readonly reason: string; readonly requested: string; readonly resumed_from: string } | null;
}

async function pageOf(gateway: TestGateway, path: string): Promise<Page> {
  const response = await fetch(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${await gateway.token('root', 'admin')}` } });
  expect(response.status).toBe(200);
  return (await response.json()) as Page;
}

/** A log with five events of the earlier form, of which the third and fourth are of no use, and one of the present form. */
async function filledLog(path: string): Promise<void> {
  {
    await using gateway = await at(before, path);
    await publish(gateway, ...[32, 212, 5000, -9999, 50].map((fahrenheit) => ({ fahrenheit })));
  }
  await using gateway = await at(after, path);
  await publish(gateway, { celsius: 21 });
}
const EXPECTED = ['1: 0', '2: 100', '3: unreadable 2-3', '4: unreadable 3-4', '5: 10', '6: 21'];

describe('stored in an earlier form', () => {
  test.each(Object.entries(SURFACES))('events have the present form over %s, or a gap in their place', async (name, read) => {
    using folder = temporaryFolder();
    await filledLog(folder.file('log.db'));
    await using gateway = await at(after, folder.file('log.db'));
    // A page tells neighbouring events that cannot be read as one gap.
    const expected = name === 'pages of history' ? ['1: 0', '2: 100', '4: unreadable 2-4', '5: 10', '6: 21'] : EXPECTED;
    expect((await read(gateway, expected.length)).filter(isEvent).map(told)).toEqual(expected);
  });

  test.each(Object.entries(SURFACES))('events begin pieces of work over %s, and a gap in their place does not', async (name, read) => {
    using folder = temporaryFolder();
    await filledLog(folder.file('log.db'));
    await using gateway = await at(after, folder.file('log.db'));
    const events = (await read(gateway, name === 'pages of history' ? 5 : 6)).filter(isEvent);
    expect(events.filter(({ type }) => type === 'station.measured').map(({ id, metadata }) => metadata?.correlation_id === id)).toEqual(
      Array(4).fill(true),
    );
    for (const { type, metadata } of events) if (type === 'courier.gap') expect(metadata?.correlation_id).toBeUndefined();
  });

  test('a page ends before an event that cannot be read, in both orders, and no event is lost on the way', async () => {
    using folder = temporaryFolder();
    await filledLog(folder.file('log.db'));
    await using gateway = await at(after, folder.file('log.db'));
    const first = await pageOf(gateway, '/events/**');
    expect([first.events.map(told), numberOf(first.next), first.has_more, first.gap]).toEqual([['1: 0', '2: 100'], '2', true, null]);
    const second = await pageOf(gateway, `/events/**?after=${first.next}&limit=1`);
    expect(second.gap).toMatchObject({ reason: 'unreadable', requested: first.next });
    expect([second.events.map(told), numberOf(second.gap?.resumed_from)]).toEqual([['5: 10'], '4']);
    const newest = await pageOf(gateway, '/events/**?order=newest');
    expect([newest.events.map(told), numberOf(newest.next), newest.has_more, newest.gap]).toEqual([['6: 21', '5: 10'], '5', true, null]);
    const older = await pageOf(gateway, `/events/**?order=newest&before=${newest.next}`);
    expect([older.events.map(told), older.has_more]).toEqual([['2: 100', '1: 0'], false]);
    expect(older.gap).toMatchObject({ reason: 'unreadable', requested: first.next });
    expect(numberOf(older.gap?.resumed_from)).toBe('4');
  });

  test('from a position past the end, the newest first, reading comes to an end also where the newest cannot be read', async () => {
    using folder = temporaryFolder();
    await filledLog(folder.file('log.db'));
    await using gateway = await at(before, folder.file('log.db'));
    const { next } = await pageOf(gateway, '/events/**');
    const ahead = `${next.split('-')[0]}-99`;
    const newest = await pageOf(gateway, `/events/**?order=newest&limit=2&before=${ahead}`);
    expect(newest.gap).toMatchObject({ reason: 'epoch', requested: ahead });
    expect([numberOf(newest.gap?.resumed_from), newest.events.map(({ id }) => numberOf(id))]).toEqual(['5', ['5', '4']]);
    const older = await pageOf(gateway, `/events/**?order=newest&before=${newest.next}`);
    expect([older.events.map(({ id }) => numberOf(id)), older.has_more, older.gap]).toEqual([['3', '2', '1'], false, null]);
  });

  test('the log keeps what was stored', async () => {
    using folder = temporaryFolder();
    await filledLog(folder.file('log.db'));
    await using log = await openSqliteLog({ path: folder.file('log.db') });
    const { events } = await log.read({ afterSeq: 0, channels: 'all', limit: 10 }, new AbortController().signal);
    expect(events.map(({ version, body }) => [version, JSON.parse(body).data])).toEqual([
      ...[32, 212, 5000, -9999, 50].map((fahrenheit) => [1, { station_id: 'oslo', fahrenheit }]),
      [2, { station_id: 'oslo', celsius: 21 }],
    ]);
  });

  test('a client gets the gap as any other, and goes on after it', async () => {
    using folder = temporaryFolder();
    await filledLog(folder.file('log.db'));
    await using gateway = await at(after, folder.file('log.db'));
    await using client = new CourierClient<typeof after>({
      url: gateway.url,
      token: await gateway.token('root', 'admin'),
      contractHash: null,
    });
    const gaps: string[] = [];
    const celsius: number[] = [];
    for await (const event of client.subscribe('station.*', { from: 'earliest', onGap: (gap) => gaps.push(gap.reason) })) {
      celsius.push(event.data.celsius);
      if (event.data.celsius === 21) break;
    }
    expect([celsius, gaps]).toEqual([
      [0, 100, 10, 21],
      ['unreadable', 'unreadable'],
    ]);
  });
});

test('a gateway of an earlier contract does not give out events of a form that it does not know', async () => {
  using folder = temporaryFolder();
  await filledLog(folder.file('log.db'));
  await using gateway = await at(before, folder.file('log.db'));
  const read = await (SURFACES['plain WebSocket'] as (typeof SURFACES)[string])(gateway, 6);
  expect(read.filter(isEvent).map(({ type, data }) => (type === 'courier.gap' ? data['reason'] : data['fahrenheit']))).toEqual([
    32,
    212,
    5000,
    -9999,
    50,
    'unreadable',
  ]);
});

const EARLIER = `import { defineContract, defineService, id, z } from '@lumiere/courier/contract';
const stations = defineService({
  events: {
    'station.measured': {
      on: ['station'],
      description: 'A station has measured.',
      data: z.strictObject({ station_id: id, fahrenheit: z.number() }),
      examples: [{ station_id: 'oslo', fahrenheit: 32 }],
    },
  },
});
export default defineContract({ name: 'weather', families: { station: { id: 'station_id' } }, services: { stations } });
`;

test("an operator finds the event without a present form in the gateway's log and its metrics", async () => {
  using folder = temporaryFolder();
  await filledLog(folder.file('log.db'));
  writeFileSync(folder.file('contract.ts'), EARLIER);
  await using gateway = await startProcess({
    COURIER_LOG: `sqlite:${folder.file('log.db')}`,
    COURIER_CONTRACT: folder.file('contract.ts'),
  });
  const lines: string[] = [];
  createInterface({ input: gateway.child.stdout as Readable }).on('line', (line) => lines.push(line));
  const headers = { authorization: `Bearer ${await processToken('root', 'admin')}` };
  const { gap } = (await (await fetch(`${gateway.url}/events/**?order=newest`, { headers })).json()) as Page;
  expect(gap?.reason).toBe('unreadable');
  expect(await (await fetch(`${gateway.url}/metrics`)).text()).toMatch(/courier_gaps_total\{reason="unreadable"\} [1-9]/);
  await gateway.end('SIGTERM');
  const warnings = lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 'WARN');
  expect(warnings.at(-1)).toMatchObject({
    message: 'an event cannot be brought to the present form of its type',
    context: { type: 'station.measured', version: 2, id: gap?.resumed_from },
  });
});

describe('of a family that the contract does not have any more', () => {
  const { families: _, ...rest } = { families, name: 'weather' };
  const buoys = defineService({
    events: {
      'buoy.moved': { on: ['buoy'], description: 'A buoy drifts.', data: z.strictObject({ buoy_id: id }), examples: [{ buoy_id: 'b1' }] },
    },
  });
  const stations = defineService({
    events: { 'station.measured': { ...measured, data: FIRST, examples: [{ station_id: 'oslo', fahrenheit: 32 }] } },
  });
  const wider = defineContract({ ...rest, families: { ...families, buoy: { id: 'buoy_id' } }, services: { stations, buoys } });

  async function withBuoys(path: string): Promise<void> {
    await using gateway = await at(wider, path);
    await publish(gateway, { fahrenheit: 1 });
    const client = gateway.httpClient(await gateway.token('root', 'admin'));
    for (const buoy_id of ['b1', 'b2'])
      await client.events.publish.mutate({ type: 'buoy.moved', channel: `buoy.${buoy_id}`, data: { buoy_id } } as never);
    await publish(gateway, { fahrenheit: 2 });
  }
  const types = (events: readonly Read[]) => events.filter(isEvent).map(({ type }) => type.split('.')[0]);
  const ALL = ['station', 'buoy', 'buoy', 'station'];

  test('events come as they were stored to whoever selects everything, on every surface', async () => {
    using folder = temporaryFolder();
    await withBuoys(folder.file('log.db'));
    await using gateway = await at(before, folder.file('log.db'));
    const token = await gateway.token('root', 'admin');
    await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/**?from=earliest&token=${token}`);
    expect(types((await socket.count(5)).map((text) => JSON.parse(text) as Read))).toEqual(ALL);
    expect(types((await pageOf(gateway, '/events/**')).events)).toEqual(ALL);
    expect(types((await pageOf(gateway, '/events/**?order=newest')).events)).toEqual(ALL);
    await using client = gateway.webSocketClient(token);
    using events = collect<{ data: Read }>((observer) =>
      client.trpc.events.subscribe.subscribe({ channels: ['global', '**'], from: 'earliest' }, observer as never),
    );
    expect(types((await events.count(5)).map(({ data }) => data))).toEqual(ALL);
    expect(types((await pageOf(gateway, '/events/station.*')).events)).toEqual(['station', 'station']);
  });

  test('a user gets no event of channels that nothing grants', async () => {
    using folder = temporaryFolder();
    await withBuoys(folder.file('log.db'));
    await using gateway = await at(before, folder.file('log.db'));
    const ask = async (subscribe: string[]) => {
      const token = await gateway.token('ada', 'user', { subscribe });
      const response = await fetch(`${gateway.url}/events/**`, { headers: { authorization: `Bearer ${token}` } });
      return response.status === 200 ? types(((await response.json()) as Page).events) : response.status;
    };
    expect(await ask(['station.*'])).toBe(403);
    expect(await ask(['global', 'user.*', 'station.*'])).toEqual(['station', 'station']);
    expect(await ask(['**'])).toEqual(ALL);
  });
});

test("a condition of a contract that fails is the gateway's own failure, without its words, on every surface", async () => {
  const failing = defineContract({
    name: 'weather',
    families,
    services: {
      stations: defineService({
        events: {
          'station.measured': {
            ...measured,
            data: z.strictObject({
              station_id: id,
              note: z
                .string()
                .refine((note) => {
                  if (note === 'boom') throw new Error('what nobody else may read');
                  return true;
                })
                .optional(),
            }),
            examples: [{ station_id: 'oslo' }],
          },
        },
      }),
    },
  });
  const errors: unknown[] = [];
  await using gateway = await startGateway({}, {}, { contract: failing, onError: (error) => errors.push(error) });
  const token = await gateway.token('root', 'admin');
  const draft = { type: 'station.measured', channel: 'station.oslo', data: { station_id: 'oslo', note: 'boom' } };
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const plain = await fetch(`${gateway.url}/publish`, { method: 'POST', headers, body: JSON.stringify(draft) });
  expect([plain.status, await plain.json()]).toEqual([500, expect.objectContaining({ detail: 'internal error' })]);
  await using ws = gateway.webSocketClient(token);
  for (const client of [gateway.httpClient(token), ws.trpc]) {
    await expect(client.events.publish.mutate(draft as never)).rejects.toMatchObject({
      message: 'internal error',
      data: { code: 'INTERNAL_SERVER_ERROR' },
    });
  }
  expect(errors).toHaveLength(3);
});

test('a live subscriber gets what is published now as it is, and a duplicate has the receipt of the first', async () => {
  await using gateway = await startGateway({}, {}, { contract: after });
  const token = await gateway.token('root', 'admin');
  await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/station.*?token=${token}`);
  await socket.count(1);
  await publish(gateway, { celsius: -3.5 });
  expect(
    (await socket.count(2))
      .map((text) => JSON.parse(text) as Read)
      .filter(isEvent)
      .map(told),
  ).toEqual(['1: -3.5']);
});
