/** Brings the data of stored events to the present version of their type. */
import type { z } from 'zod';
import type { Contract } from './contract.ts';
import { findFault } from './json.ts';

/** An event of an earlier or later version of its type, with its data as it was stored. */
export interface OtherForm {
  readonly type: string;
  readonly version: number;
  readonly channel: string;
  readonly data: unknown;
}

/** Data in the present form, or why it cannot be had, without anything of the data. */
export type Upcast = { readonly data: object } | { readonly problem: string };

/**
 * Makes the present form of an event's data. It cannot be had where the contract says no way from the version, or the way leads to
 * data that nobody could publish to that channel now.
 */
export function upcast(contract: Contract, { type, version, channel, data }: OtherForm): Upcast {
  const info = contract.types.get(type);
  const earlier = info?.earlier.get(version);
  if (info === undefined || earlier === undefined) {
    const isLater = info !== undefined && version > info.version;
    return {
      problem: isLater ? `it is of a later version than the contract's ${info.version}` : `the contract has no upcast from ${version}`,
    };
  }
  try {
    const old = earlier.data.safeParse(data);
    if (!old.success) return { problem: `it is not of the form that the contract says version ${version} had${at(old.error)}` };
    const made: unknown = earlier.toPresent(old.data as never);
    if (made instanceof Promise) {
      // What becomes of it is nobody's.
      made.catch(() => undefined);
      return { problem: 'its upcast makes a promise' };
    }
    const fault = findFault(made);
    if (fault !== undefined) return { problem: `its upcast makes ${['data', ...fault.path].join('.')}, which ${fault.message}` };
    const present = info.data.safeParse(made);
    if (!present.success) return { problem: `its upcast makes what the present schema refuses${at(present.error)}` };
    const stray = contract.strayId(channel, present.data);
    return stray === undefined ? { data: present.data } : { problem: `its upcast makes data.${stray}, which is not the id in the channel` };
  } catch (error) {
    return { problem: `its upcast failed with ${error instanceof Error ? error.name : typeof error}` };
  }
}

/** Where a schema found the first thing wrong. */
function at({ issues: [issue] }: z.ZodError): string {
  return issue === undefined ? '' : ` (${['data', ...issue.path.map(String)].join('.')}: ${issue.code})`;
}
