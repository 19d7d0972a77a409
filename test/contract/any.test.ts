/** Whatever contract is taken works: its documents, its types, and every event on every channel that may carry it. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { reactHooksOf } from '../../scripts/contract/react.ts';
import { typescriptOf } from '../../scripts/contract/typescript.ts';
import { asyncApiDocument } from '../../src/contract/asyncapi.ts';
import type { Contract } from '../../src/contract/contract.ts';
import { ContractError, defineContract } from '../../src/contract/define.ts';
import { type ContractDocument, contractDocument } from '../../src/contract/document.ts';
import { collect } from '../helpers/collect.ts';
import { draftOn } from '../helpers/drafts.ts';
import { startGateway } from '../helpers/gateway.ts';
import { definition } from '../helpers/random-contracts.ts';
import { onEventOf, type TradeClient, type TradeDraft, type TradeEvent } from '../helpers/roles.ts';

const HASH = '0123456789abcdef';
type Item = { id: string; data: TradeEvent };

/** What is refused is told line by line, each with its place. */
const PLACED = /^(name|services|(families|services)\.[^:]+|family [^:]+|event type [^:]+): ./;

function defined(given: object): Contract | undefined {
  try {
    return defineContract(given as never) as unknown as Contract;
  } catch (error) {
    expect(error).toBeInstanceOf(ContractError);
    for (const line of (error as Error).message.split('\n')) expect(line).toMatch(PLACED);
    return undefined;
  }
}

/** Each type on each family that may carry it. */
function draftsOf(contract: Contract): TradeDraft[] {
  return [...contract.types.values()].flatMap(({ type, families }) => families.map((family) => draftOn(contract, type, family, 'x-1')));
}

function expectDescribed(document: ContractDocument, drafts: readonly TradeDraft[]): void {
  typescriptOf(document, HASH);
  reactHooksOf(document, { contract: './contract.ts', hooks: '@lumiere/courier-client/react' });
  asyncApiDocument(document, { version: '1', contractHash: HASH });
  const ajv = formats.default(new Ajv2020({ allowUnionTypes: true, strict: false, multipleOfPrecision: 9 }));
  for (const [type, schema] of Object.entries(document['x-drafts'])) {
    const fits = ajv.compile(schema);
    for (const draft of drafts.filter((each) => each.type === type)) expect([draft, fits(draft), fits.errors]).toEqual([draft, true, null]);
  }
}

test('every event of any contract is published, followed and read back', { timeout: 120_000 }, async () => {
  const seen = { taken: 0, refused: 0, events: 0 };
  const attempt = async (given: object) => {
    const contract = defined(given);
    seen[contract === undefined ? 'refused' : 'taken'] += 1;
    if (contract === undefined) return;
    const drafts = draftsOf(contract);
    expectDescribed(contractDocument(contract), drafts);
    await using gateway = await startGateway<TradeClient>({}, {}, { contract });
    await using admin = gateway.webSocketClient(await gateway.token('root', 'admin'));
    const { events } = admin.trpc;
    using all = collect<Item>((observer) => events.subscribe.subscribe({ channels: ['**'] }, observer));
    await all.count(1);
    for (const draft of drafts)
      await publishAsService(gateway.httpClient(await gateway.token(serviceOf(contract, draft), 'service')), contract, draft);
    const received = (await all.count(drafts.length + 1)).slice(1).map(({ data }) => data);
    expect(received).toMatchObject(drafts.map((draft) => ({ ...draft, metadata: { source: serviceOf(contract, draft) } })));
    expect(received.map(({ data }) => data)).toEqual(drafts.map(({ data }) => data));
    const page = await events.history.query({ channels: ['**'], limit: 1000 });
    expect(page).toMatchObject({ events: received, has_more: false, gap: null });
    await expectByFamily(contract, admin.trpc, received);
    seen.events += drafts.length;
  };
  await fc.assert(fc.asyncProperty(definition, attempt), { numRuns: 50 });
  expect(seen.taken).toBeGreaterThan(10);
  expect(seen.events).toBeGreaterThan(60);
});

const serviceOf = (contract: Contract, { type }: TradeDraft) => contract.serviceOf(type) as string;

function publishAsService(trpc: TradeClient, contract: Contract, draft: TradeDraft): Promise<object> {
  const routes = trpc as unknown as Readonly<Record<string, Pick<TradeClient['events'], 'publish'>>>;
  return routes[serviceOf(contract, draft)]?.publish.mutate(draft) as Promise<object>;
}

/** The procedure of each family gives the events of its channel. */
async function expectByFamily(contract: Contract, trpc: TradeClient, received: readonly TradeEvent[]): Promise<void> {
  for (const [family, { id }] of contract.families) {
    const on = received.filter(({ channel }) => contract.channels.familyOf(channel) === family);
    const input = { from: 'earliest' as const, ...(id !== undefined && { [id]: 'x-1' }) };
    using items = collect<Item>((observer) => onEventOf(trpc, family).subscribe(input, observer));
    const given = await items.until((all) => all.some(({ data }) => data.type === 'courier.live'));
    expect(given.slice(0, -1).map(({ data }) => data)).toEqual(on);
  }
}
