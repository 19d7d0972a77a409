/** The AsyncAPI document is one to the official parser, and leaves nothing of the contract out. */
import { type AsyncAPIDocumentInterface, Parser } from '@asyncapi/parser';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { expect, test } from 'vitest';
import { asyncApiDocument } from '../../src/contract/asyncapi.ts';
import { familyForm } from '../../src/contract/channels.ts';
import type { Contract } from '../../src/contract/contract.ts';
import { VERSION } from '../../src/version.ts';
import * as docks from '../helpers/docks.ts';
import { startGateway } from '../helpers/gateway.ts';
import { CONTRACT_HASH, contract, DOCUMENT, EVENT_TYPES, FAMILIES, familiesOf, SERVICE_NAMES } from '../helpers/lumiere.ts';

const NOTICES = ['courier.gap', 'courier.live'];

async function served(of: Contract = contract): Promise<AsyncAPIDocumentInterface> {
  await using gateway = await startGateway({}, {}, { contract: of });
  const response = await fetch(`${gateway.url}/asyncapi.json`);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8']);
  const { document, diagnostics } = await new Parser().parse(await response.text());
  expect(diagnostics).toEqual([]);
  if (document === undefined) throw new Error('the parser made no document');
  return document;
}

test('what a gateway serves is valid and says everything', async () => {
  const document = await served();
  expect(document.info().title()).toBe('Courier');
  expect(document.info().description()).toContain(`The contract is ${contract.name}.`);
  expect(document.info().version()).toBe(VERSION);
  expect(document.info().extensions().get('x-contract-hash')?.value()).toBe(CONTRACT_HASH);

  const servers = document.servers().all();
  expect(servers.map((server) => `${server.protocol()}://${server.host()}${server.pathname()}`)).toEqual([
    'http://{host}{base_path}/publish',
    'ws://{host}{base_path}/ws',
  ]);
  for (const server of servers) expect(server.security()[0]?.all()[0]?.scheme().bearerFormat()).toBe('JWT');

  const channels = document.channels();
  expect(channels.all().map((channel) => channel.address())).toEqual(FAMILIES.map(familyForm));
  for (const family of FAMILIES) {
    const channel = channels.get(family);
    const types = contract.typesOn(family);
    expect(
      channel
        ?.parameters()
        .all()
        .map((parameter) => parameter.id()),
    ).toEqual(family === 'global' ? [] : ['id']);
    const messages = [...types, ...NOTICES, ...types.map((type) => `${type}.draft`)];
    expect(
      channel
        ?.messages()
        .all()
        .map((message) => message.id()),
    ).toEqual(messages);
    for (const message of channel?.messages().all() ?? []) expect(message.payload()?.properties()?.['data']?.type()).toBe('object');
  }
  expect(document.allMessages().all()).toHaveLength(2 * EVENT_TYPES.length + NOTICES.length);
});

test('each service sends its types where they may go, and everyone receives what a family carries', async () => {
  const operations = (await served()).operations();
  const namesOf = (id: string) =>
    operations
      .get(id)
      ?.messages()
      .all()
      .map((message) => message.name());
  const sent = SERVICE_NAMES.flatMap((service) =>
    FAMILIES.flatMap((family) => {
      const types = EVENT_TYPES.filter((type) => contract.serviceOf(type) === service && familiesOf(type).includes(family));
      if (types.length === 0) return [];
      expect(namesOf(`publish.${service}.${family}`)).toEqual(types.map((type) => `${type}.draft`));
      return `publish.${service}.${family}`;
    }),
  );
  expect(
    operations
      .filterBySend()
      .map((operation) => operation.id())
      .sort(),
  ).toEqual(sent.sort());
  const received = FAMILIES.map((family) => {
    expect(namesOf(`subscribe.${family}`)).toEqual([...contract.typesOn(family), ...NOTICES]);
    return `subscribe.${family}`;
  });
  expect(operations.filterByReceive().map((operation) => operation.id())).toEqual(received);
});

test.each([
  ['lumiere', DOCUMENT],
  ['docks', docks.DOCUMENT],
] as const)('each message of %s has the examples of its type, which are such as its schema asks for', (_name, document) => {
  const ajv = formats.default(new Ajv2020({ strict: false }));
  const { messages, schemas } = asyncApiDocument(document, { version: VERSION, contractHash: '0123456789abcdef' }).components;
  for (const { name, examples } of Object.values(messages)) {
    expect([name, examples.length]).toEqual([name, document['x-types'][name.replace(/\.draft$/, '')]?.examples.length ?? 1]);
    for (const { payload } of examples) {
      expect([name, ajv.validate(schemas[name] ?? false, payload), ajv.errors]).toEqual([name, true, null]);
    }
  }
});

test('any contract is told with what its types and channels say of themselves', async () => {
  const document = await served(docks.contract);
  const messageOf = (name: string) =>
    document
      .allMessages()
      .all()
      .find((message) => message.name() === name);
  const moored = messageOf('ship.moored');
  expect([moored?.title(), moored?.summary()]).toEqual(['ship.moored', 'A ship has made fast.']);
  const data = { ship_id: 'aurora', berth: 'north', draught_m: 7.5 };
  expect(moored?.examples().all()[0]?.payload()).toMatchObject({
    channel: 'ship.aurora',
    type: 'ship.moored',
    metadata: { source: 'pilots' },
    data,
  });
  const draft = messageOf('ship.moored.draft');
  expect([draft?.title(), draft?.summary()]).toEqual(['Draft of ship.moored', 'A ship has made fast.']);
  expect(draft?.examples().all()[0]?.payload()).toEqual({ type: 'ship.moored', channel: 'ship.aurora', data });
  expect(messageOf('courier.gap')?.summary()).toMatch(/^Events are missing/);
  expect(document.channels().get('berth.crane')?.json()).toMatchObject({ title: 'A crane at a berth' });
});
