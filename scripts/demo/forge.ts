/**
 * Forge runs the research jobs: it starts them, follows what becomes of every candidate, and ends each with a winner,
 * or as failed when no candidate could be tested.
 */
import { candidatesOf } from './candidates.ts';
import { runService, type Service } from './service.ts';

/** Job -> strategy -> Sharpe ratio; undefined where it failed. */
const jobs = new Map<string, Map<string, number | undefined>>();
const jobOf = new Map<string, string>();

await runService(
  async (service) => {
    await service.client.subscribe(
      'strategy.*',
      async ({ type, data }) => {
        if (type === 'strategy.generation.started') jobOf.set(data.strategy_id, String(data.parameters?.['job_id']));
        else await settle(service, data.strategy_id, undefined);
      },
      { types: ['strategy.generation.started', 'strategy.generation.failed'] },
    ).live;
    await service.client.subscribe(
      'backtest.*',
      async ({ type, data }) => {
        if (type === 'backtest.completed') await settle(service, String(data.strategy_id), data.metrics.sharpe_ratio);
        else await settle(service, data.backtest_id.replace(/^bt-/, ''), undefined);
      },
      { types: ['backtest.completed', 'backtest.failed'] },
    ).live;
  },
  async ({ publish }, { correlationId, jobs: begun }) => {
    for (const job_id of begun) {
      jobs.set(job_id, new Map());
      await publish(`forge.job.${job_id}`, 'forge.job.started', { job_id, kind: 'strategy research' }, { correlationId });
    }
  },
);

/** Notes what became of a strategy, and ends its job with the last one. */
async function settle({ publish }: Service, strategyId: string, sharpe: number | undefined): Promise<void> {
  const job_id = jobOf.get(strategyId);
  const outcomes = job_id === undefined ? undefined : jobs.get(job_id);
  if (job_id === undefined || outcomes === undefined) return;
  outcomes.set(strategyId, sharpe);
  const total = candidatesOf(job_id).length;
  const channel = `forge.job.${job_id}` as const;
  const step = `${strategyId} ${sharpe === undefined ? 'failed' : 'tested'}`;
  await publish(channel, 'forge.job.progress', { job_id, progress: outcomes.size / total, step });
  if (outcomes.size < total) return;
  jobs.delete(job_id);
  const tested = [...outcomes].filter((outcome): outcome is [string, number] => outcome[1] !== undefined);
  const [winner] = tested.sort(([, a], [, b]) => b - a)[0] ?? [];
  if (winner === undefined) {
    const message = `none of ${total} candidates could be tested`;
    await publish(channel, 'forge.job.failed', { job_id, code: 'no_result', message, retryable: false });
  } else {
    const result = { winner, tested: tested.length, failed: total - tested.length };
    await publish(channel, 'forge.job.completed', { job_id, result });
  }
}
