/** Brings the data of stored events to the present version of their type. */
import type { Contract } from './contract.ts';

/**
 * The data of an event of an earlier or later version, in the present form; undefined when it cannot be had: the contract says no
 * way from that version, or the way leads to data that the present schema refuses.
 */
export function upcast(contract: Contract, type: string, version: number, data: unknown): object | undefined {
  const info = contract.types.get(type);
  const earlier = info?.earlier.get(version);
  if (info === undefined || earlier === undefined) return undefined;
  try {
    const old = earlier.data.parse(data);
    return info.data.parse(earlier.toPresent(old as never));
  } catch {
    return undefined;
  }
}
