/** What the gateway logs of stored events that are not of the contract as it is now. */
import { familyPattern } from '../contract/channels.ts';
import type { Contract } from '../contract/contract.ts';
import type { PresentOptions } from '../delivery/present.ts';
import type { EventLog } from '../log/log.ts';
import type { Logger } from './logger.ts';

/** Types and families that are told once each, at most. */
const MAX_TOLD = 100;

export function foreignEventWarnings(contract: Contract, { positions }: EventLog, logger: Logger): PresentOptions {
  const told = new Set<string>();
  return {
    onUnreadable: ({ type, version, seq }, problem) =>
      logger.warn('an event cannot be brought to the present form of its type', { type, version, id: positions.at(seq), problem }),
    onForeign: ({ family, type, seq }) => {
      const what = contract.families.has(family) ? { type } : { channels: familyPattern(family) };
      const key = JSON.stringify(what);
      if (told.has(key) || told.size === MAX_TOLD) return;
      told.add(key);
      logger.warn('the log has an event that is not of this contract: is it the right one, and do all instances serve it?', {
        ...what,
        contract: contract.name,
        id: positions.at(seq),
      });
    },
  };
}
