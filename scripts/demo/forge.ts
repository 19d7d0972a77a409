/**
 * Forge runs the research jobs: it starts them, follows what becomes of every candidate, and ends each with a winner,
 * or as failed when no candidate could be tested.
 */
import { JOBS } from './candidates.ts';
import { runService, type Service } from './service.ts';

interface Job {
  readonly correlationId: string;
  /** Strategy -> Sharpe ratio; undefined where it failed. */
  readonly outcomes: Map<string, number | undefined>;
}

const jobs = new Map<string, Job>();
const jobOf = new Map<string, string>();

await runService(
  async (service) => {
    await service.on(['strategy.*'], ['strategy.generation.started', 'strategy.generation.failed'], async ({ type, data }) => {
      if (type === 'strategy.generation.started') jobOf.set(data.strategy_id, String(data.parameters?.['job_id']));
      else await settle(service, data.strategy_id, undefined);
    });
    await service.on(['backtest.*'], ['backtest.completed', 'backtest.failed'], async ({ type, data }) => {
      if (type === 'backtest.completed') await settle(service, String(data.strategy_id), data.metrics.sharpe_ratio);
      else await settle(service, data.backtest_id.replace(/^bt-/, ''), undefined);
    });
  },
  async ({ trpc, count }, correlationId) => {
    for (const job_id of Object.keys(JOBS)) {
      jobs.set(job_id, { correlationId, outcomes: new Map() });
      const metadata = { correlation_id: correlationId };
      const data = { job_id, kind: 'strategy research' };
      await count(trpc.forge.publish.mutate({ type: 'forge.job.started', channel: `forge.job.${job_id}`, metadata, data }));
    }
  },
);

/** Notes what became of a strategy, and ends its job with the last one. */
async function settle({ trpc, count }: Service, strategyId: string, sharpe: number | undefined): Promise<void> {
  const job_id = jobOf.get(strategyId);
  const job = job_id === undefined ? undefined : jobs.get(job_id);
  if (job_id === undefined || job === undefined) return;
  job.outcomes.set(strategyId, sharpe);
  const total = JOBS[job_id]?.length ?? 0;
  const channel = `forge.job.${job_id}` as const;
  const metadata = { correlation_id: job.correlationId };
  const { publish } = trpc.forge;
  const step = `${strategyId} ${sharpe === undefined ? 'failed' : 'tested'}`;
  await count(
    publish.mutate({ type: 'forge.job.progress', channel, metadata, data: { job_id, progress: job.outcomes.size / total, step } }),
  );
  if (job.outcomes.size < total) return;
  const tested = [...job.outcomes].filter((outcome): outcome is [string, number] => outcome[1] !== undefined);
  const [winner] = tested.sort(([, a], [, b]) => b - a)[0] ?? [];
  if (winner === undefined) {
    const data = { job_id, code: 'no_result', message: `none of ${total} candidates could be tested`, retryable: false };
    await count(publish.mutate({ type: 'forge.job.failed', channel, metadata, data }));
  } else {
    const result = { winner, tested: tested.length, failed: total - tested.length };
    await count(publish.mutate({ type: 'forge.job.completed', channel, metadata, data: { job_id, result } }));
  }
}
