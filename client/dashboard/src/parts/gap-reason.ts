/** Why events are missing, for people. */
import type { Gap } from '@lumiere/courier-client';

const REASONS: Readonly<Record<string, string>> = {
  expired: 'they are older than what is retained',
  epoch: 'the log is another one, or has lost them',
  ahead: 'the position is past the end of the log',
  unreadable: 'the form of their type has changed, and they cannot be brought to the present one',
} satisfies Record<Gap['reason'], string>;

/** A later Courier may have further reasons. */
export function reasonOf({ reason }: Gap): string {
  return REASONS[reason] ?? reason;
}
