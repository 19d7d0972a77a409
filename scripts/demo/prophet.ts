/** Prophet proposes strategies: for every research job that starts, the job's moving-average pairs. */
import { candidatesOf, strategyId } from './candidates.ts';
import type { Parameters } from './moving-average.ts';
import { runService, type Service } from './service.ts';

await runService(
  (service) =>
    service.client.subscribe(
      'forge.job.*',
      async ({ data: { job_id } }) => {
        const pairs = candidatesOf(job_id);
        for (const pair of pairs) await propose(service, pair, { job_id, candidates: pairs.length });
      },
      { types: ['forge.job.started'] },
    ).live,
);

async function propose({ publish }: Service, pair: Parameters, job: { job_id: string; candidates: number }): Promise<void> {
  const strategy_id = strategyId(pair);
  const channel = `strategy.${strategy_id}` as const;
  const parameters = { ...pair, ...job };
  await publish(channel, 'strategy.generation.started', { strategy_id, symbols: ['SPX'], parameters });
  await publish(channel, 'strategy.generation.progress', { strategy_id, progress: 0.5, stage: 'choosing windows' });
  if (pair.fast >= pair.slow) {
    const message = `the fast window (${pair.fast}) must be shorter than the slow one (${pair.slow})`;
    await publish(channel, 'strategy.generation.failed', { strategy_id, code: 'windows_crossed', message, retryable: false });
    return;
  }
  const name = `SMA ${pair.fast}/${pair.slow}`;
  await publish(channel, 'strategy.generation.completed', { strategy_id, name, parameters });
}
