/** Brings the data of stored events to the present version of their type. */
import type { Contract } from './contract.ts';
import { findFault } from './json.ts';

/** An event of an earlier or later version of its type, with its data as it was stored. */
export interface OtherForm {
  readonly type: string;
  readonly version: number;
  readonly channel: string;
  readonly data: unknown;
}

/**
 * The data in the present form; undefined when it cannot be had: the contract says no way from that version, or the way leads to
 * data that nobody could publish to that channel now.
 */
export function upcast(contract: Contract, { type, version, channel, data }: OtherForm): object | undefined {
  const info = contract.types.get(type);
  const earlier = info?.earlier.get(version);
  if (info === undefined || earlier === undefined) return undefined;
  try {
    const old = earlier.data.parse(data);
    const made: unknown = earlier.toPresent(old as never);
    if (findFault(made) !== undefined) return undefined;
    const present = info.data.parse(made);
    return contract.strayId(channel, present) === undefined ? present : undefined;
  } catch {
    return undefined;
  }
}
