/** Research without end, so that there is something to look at: a round after the other, each with its own job and correlation id. */
import { setTimeout as wait } from 'node:timers/promises';
import type { CourierClient } from '@lumiere/courier-client';
import { eventLine } from '../cli/format.ts';
import { rendered } from '../cli/line.ts';
import { jobOfRound } from './candidates.ts';
import type { ServiceProcess } from './processes.ts';

/** Between the end of a round and the next. */
const PAUSE_MS = 5000;

/**
 * Begins round 2, and each other when the one before has ended; prints a line for each. Resolves once `signal` aborts, and
 * rejects when the end of a round cannot be heard. Holds nothing of a round that has ended.
 */
export async function runRounds(client: CourierClient, forge: ServiceProcess, signal: AbortSignal): Promise<void> {
  let round = 1;
  const begin = () => {
    round += 1;
    const job = jobOfRound(round);
    forge.send({ kind: 'begin', correlationId: job, jobs: [job] });
  };
  const subscription = client.subscribe(
    'forge.job.*',
    async (event) => {
      console.log(rendered(eventLine(event)));
      await wait(PAUSE_MS, undefined, { signal }).then(begin, () => undefined);
    },
    { types: ['forge.job.completed', 'forge.job.failed'], signal },
  );
  await subscription.live.catch((error: unknown) => {
    // A subscription that is ended before it is live never will be.
    if (!signal.aborted) throw error;
  });
  if (!signal.aborted) begin();
  await subscription.ended;
}
