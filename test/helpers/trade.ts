/**
 * The trade that a test runs with: one of two contracts, in roles. The project `harbour` of vitest.config.ts runs the same files as
 * Lumiere's with `COURIER_TEST_TRADE=harbour`.
 */
import { fileURLToPath } from 'node:url';
import { CourierClient, type CourierClientOptions } from '../../client/src/index.ts';
import type { Config } from '../../src/config.ts';
import type { Contract } from '../../src/contract/contract.ts';
import { contractDocument } from '../../src/contract/document.ts';
import { contract as lumiere } from '../../src/contracts/lumiere/contract.ts';
import type { GatewayOptions } from '../../src/gateway.ts';
import { contractHash } from '../../src/version.ts';
import { contract as harbour } from '../harbour/contract.ts';
import { draftOn } from './drafts.ts';
import * as gateways from './gateway.ts';
import * as processes from './process.ts';
import { onEventOf, Stranger, type TradeClient, type TradeContract, type TradeDraft, Traveller, Worker } from './roles.ts';

export type { Data, TradeClient, TradeContract, TradeDraft, TradeEvent } from './roles.ts';
export { onEventOf };
export type TestGateway = gateways.TestGateway<TradeClient>;

interface Trade {
  readonly contract: Contract;
  /** What tells programs the contract; nothing for the one that they have by default. */
  readonly env: Readonly<Record<string, string>>;
  readonly worker: Worker;
  readonly traveller: Traveller;
  readonly stranger: Stranger;
}

const TRADES: Readonly<Record<string, Trade>> = {
  lumiere: {
    contract: lumiere,
    env: {},
    worker: new Worker(lumiere, {
      service: 'forge',
      family: 'forge.job',
      noted: { type: 'forge.job.started', field: 'kind' },
      measured: { type: 'forge.job.progress', field: 'progress' },
      reported: { type: 'forge.job.completed', field: 'result', number: 'duration_ms' },
      failed: 'forge.job.failed',
    }),
    traveller: new Traveller(lumiere, {
      service: 'cartographe',
      family: 'backtest',
      begun: 'backtest.started',
      measured: { type: 'backtest.progress', field: 'progress' },
      failed: 'backtest.failed',
    }),
    stranger: new Stranger(lumiere, {
      service: 'prophet',
      family: 'strategy',
      listed: { type: 'strategy.generation.started', field: 'symbols' },
    }),
  },
  harbour: {
    contract: harbour,
    env: { COURIER_CONTRACT: fileURLToPath(new URL('../harbour/contract.ts', import.meta.url)) },
    worker: new Worker(harbour, {
      service: 'yard',
      family: 'yard.block',
      noted: { type: 'container.stowed', field: 'remark' },
      measured: { type: 'yard.block.filled', field: 'filled' },
      reported: { type: 'yard.block.inspected', field: 'findings', number: 'duration_ms' },
      failed: 'yard.block.closed',
    }),
    traveller: new Traveller(harbour, {
      service: 'pilotage',
      family: 'vessel',
      begun: 'vessel.arriving',
      measured: { type: 'vessel.approaching', field: 'way' },
      failed: 'vessel.turned_away',
    }),
    stranger: new Stranger(harbour, {
      service: 'port_office',
      family: 'berth',
      listed: { type: 'berth.assigned', field: 'services' },
    }),
  },
};

const name = process.env['COURIER_TEST_TRADE'] ?? 'lumiere';
const trade = TRADES[name];
if (trade === undefined) throw new Error(`COURIER_TEST_TRADE: there is no trade ${name}`);

export const { contract, env, worker, traveller, stranger } = trade;
/** Roles, for tests of every service. */
export const ROLES = [worker, traveller, stranger] as const;
export const EVENT_TYPES = [...contract.types.keys()];
export const FAMILIES = contract.channels.families;
export const EVERYTHING = contract.channels.everything;
export const channelSetOf = (patterns: readonly string[]) => contract.channels.setOf(patterns);
/** By type: the draft that the contract's first example makes. */
export const SAMPLES = Object.fromEntries(EVENT_TYPES.map((type) => [type, contract.sampleOf(type) as TradeDraft]));
/** A draft of a type on a channel of a family. */
export const draftOf = (type: string, family: string, id: string) => draftOn(contract, type, family, id);
export const DOCUMENT = contractDocument(contract);
export const CONTRACT_HASH = contractHash(contract);

/** A gateway that serves the contract. */
export function startGateway(
  variables: Record<string, string> = {},
  overrides: Partial<Config> = {},
  options: Partial<GatewayOptions> = {},
): Promise<TestGateway> {
  return gateways.startGateway<TradeClient>(variables, overrides, { contract, ...options });
}

export const httpClient = gateways.httpClient<TradeClient>;

/** The same in a process of its own. */
export function startProcess(variables: Record<string, string>): Promise<processes.GatewayProcess> {
  return processes.startProcess({ ...env, ...variables });
}

/** The package's client, which was made with the contract. */
export function clientOf(options: Omit<CourierClientOptions, 'contractHash'>): CourierClient<TradeContract> {
  return new CourierClient<TradeContract>({ ...options, contractHash: CONTRACT_HASH });
}
