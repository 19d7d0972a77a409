/** Drafts of any contract, made of its examples. */
import type { Contract } from '../../src/contract/contract.ts';
import type { TradeDraft } from './roles.ts';

/** A draft of a type on a channel of a family, whether or not it may be there. The data has the channel's id where it has the field. */
export function draftOn(contract: Contract, type: string, family: string, id: string): TradeDraft {
  const data = contract.types.get(type)?.examples[0] as Readonly<Record<string, unknown>>;
  const field = contract.families.get(family)?.id;
  return {
    type,
    channel: family === 'global' ? 'global' : `${family}.${id}`,
    data: field !== undefined && field in data ? { ...data, [field]: id } : data,
  };
}
