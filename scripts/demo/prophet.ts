/** Prophet proposes strategies: for every research job that starts, the job's moving-average pairs. */
import { JOBS, strategyId } from './candidates.ts';
import type { Parameters } from './moving-average.ts';
import { runService, type Service } from './service.ts';

await runService((service) =>
  service.on(['forge.job.*'], ['forge.job.started'], async ({ data: { job_id }, metadata: { correlation_id } }) => {
    const pairs = JOBS[job_id] ?? [];
    for (const pair of pairs) await propose(service, pair, { job_id, candidates: pairs.length }, correlation_id);
  }),
);

async function propose(
  { trpc, count }: Service,
  pair: Parameters,
  job: { job_id: string; candidates: number },
  correlation_id: string | undefined,
) {
  const strategy_id = strategyId(pair);
  const channel = `strategy.${strategy_id}` as const;
  const metadata = { correlation_id };
  const parameters = { ...pair, ...job };
  const { publish } = trpc.prophet;
  await count(
    publish.mutate({ type: 'strategy.generation.started', channel, metadata, data: { strategy_id, symbols: ['SPX'], parameters } }),
  );
  await count(
    publish.mutate({
      type: 'strategy.generation.progress',
      channel,
      metadata,
      data: { strategy_id, progress: 0.5, stage: 'choosing windows' },
    }),
  );
  if (pair.fast >= pair.slow) {
    const message = `the fast window (${pair.fast}) must be shorter than the slow one (${pair.slow})`;
    await count(
      publish.mutate({
        type: 'strategy.generation.failed',
        channel,
        metadata,
        data: { strategy_id, code: 'windows_crossed', message, retryable: false },
      }),
    );
    return;
  }
  const name = `SMA ${pair.fast}/${pair.slow}`;
  await count(publish.mutate({ type: 'strategy.generation.completed', channel, metadata, data: { strategy_id, name, parameters } }));
}
