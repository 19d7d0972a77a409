/** The demo's PostgreSQL and Redis, which know nothing of it: this process ends them when it is told to, or the demo has gone. */
import { startPostgres, startRedis } from '../servers.ts';

/** Their addresses, told to the demo once both listen. */
export interface Servers {
  readonly database: string;
  readonly redis: string;
}

const { promise: ending, resolve: end } = Promise.withResolvers<void>();
process.once('disconnect', end).once('SIGTERM', () => end());
try {
  await using postgres = await startPostgres();
  await using redis = await startRedis();
  process.send?.({ database: await postgres.createDatabase(), redis: redis.url } satisfies Servers);
  await ending;
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
if (process.connected) process.disconnect?.();
