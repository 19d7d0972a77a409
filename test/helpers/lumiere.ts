/** What most tests need of Lumiere's contract. */
import { contractDocument } from '../../src/contract/document.ts';
import { contract, type EventType } from '../../src/contracts/lumiere/contract.ts';
import { contractHash } from '../../src/version.ts';

export * from '../../src/contracts/lumiere/contract.ts';
export const EVENT_TYPES = [...contract.types.keys()] as EventType[];
export const SERVICE_NAMES = [...contract.services.keys()];
export const FAMILIES = contract.channels.families;
export const familiesOf = (type: string) => contract.types.get(type)?.families ?? [];
export const EVERYTHING = contract.channels.everything;
export const channelSetOf = (patterns: readonly string[]) => contract.channels.setOf(patterns);
export const CONTRACT_HASH = contractHash(contract);
export const DOCUMENT = contractDocument(contract);
