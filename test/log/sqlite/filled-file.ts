/** Files to begin with. */
import { openSqliteLog } from '../../../src/log/sqlite.ts';
import { newEvents } from '../../helpers/events.ts';

/** A file with events in it, closed. */
export async function filledFile(path: string, events = 200): Promise<void> {
  await using log = await openSqliteLog({ path });
  await log.append(newEvents(events, 'backtest.b1', { size: 500 }));
}
