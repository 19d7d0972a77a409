/** Whether PostgreSQL stores events now: an append of the largest event, which is taken back, within a commit that changes nothing. */
import type { ClientBase } from 'pg';
import { largestEvent } from '../probe.ts';
import { APPEND, appendValues } from './append.ts';
import { transaction } from './schema.ts';

/** @param now another clock than the database's. @throws what an append would. */
export async function probeAppend(client: ClientBase, epoch: string, now: number | undefined): Promise<void> {
  const append = (events: Parameters<typeof appendValues>[2]) =>
    client.query({ ...APPEND, values: [...appendValues(epoch, now, events, () => 0)] });
  await transaction(client, async () => {
    await client.query('SAVEPOINT probe');
    await append([largestEvent()]);
    await client.query('ROLLBACK TO SAVEPOINT probe');
    // Writes the counter as it is: what has nothing to commit would not wait for the disk, nor for a standby.
    await append([]);
  });
}
