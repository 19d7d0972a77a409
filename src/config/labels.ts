/** What values are called in front of people: addresses without users, passwords and parameters. */
import { PostgresAddress } from '../log/postgres/address.ts';
import { parseRedisAddress } from '../redis/address.ts';
import type { BrokerTarget, LogTarget } from './formats.ts';

/** As `COURIER_LOG` names it. */
export function logLabel(target: LogTarget): string {
  switch (target.kind) {
    case 'memory':
      return 'memory:';
    case 'sqlite':
      return `sqlite:${target.path}`;
    case 'postgres':
      return `postgres://${new PostgresAddress(target.url).label}`;
  }
}

/** As `COURIER_BROKER` names it. */
export function brokerLabel(target: BrokerTarget): string {
  return target.kind === 'local' ? 'local' : parseRedisAddress(target.url).label;
}
