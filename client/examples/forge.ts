/** Forge: publishes the start, progress and end of a job, and waits for the events of other services. */
import { BackgroundPublisher, CourierClient } from '@lumiere/courier-client';

const client = new CourierClient({ url: process.env['COURIER_URL'] ?? 'http://127.0.0.1:8766', token: process.env['COURIER_TOKEN'] ?? '' });
const courier = new BackgroundPublisher(client, { onError: ({ code, hint }, { type }) => console.warn(`${type}: ${code}; ${hint}`) });

export async function runJob(jobId: string, work: (progress: (done: number) => void) => Promise<void>): Promise<void> {
  const channel = `forge.job.${jobId}` as const;
  courier.submit({ channel, type: 'forge.job.started', data: { job_id: jobId, kind: 'research' } });
  try {
    await work((done) => courier.submit({ channel, type: 'forge.job.progress', data: { job_id: jobId, progress: done } }));
    courier.submit({ channel, type: 'forge.job.completed', data: { job_id: jobId } });
  } catch (error) {
    courier.submit({ channel, type: 'forge.job.failed', data: { job_id: jobId, code: 'work_failed', message: String(error) } });
  }
}

/** Resolves to the return of a backtest, also of one that is already done; to undefined when the backtest failed. */
export async function backtestResult(backtestId: string): Promise<number | undefined> {
  const types = ['backtest.completed', 'backtest.failed'] as const;
  for await (const event of client.subscribe(`backtest.${backtestId}`, { types, from: 'earliest', onGap: 'fail' })) {
    return event.type === 'backtest.completed' ? event.data.metrics.total_return : undefined;
  }
  return undefined;
}
