/**
 * The servers that the tests share, started once before them: their own, or those of COURIER_TEST_POSTGRES_URL and
 * COURIER_TEST_REDIS_URL.
 */
import type { TestProject } from 'vitest/node';
import { startPostgres, startRedis } from '../../scripts/servers.ts';

declare module 'vitest' {
  interface ProvidedContext {
    postgresUrl: string;
    redisUrl: string;
  }
}

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  await using stack = new AsyncDisposableStack();
  const own = async (name: string, start: () => Promise<string>) => process.env[name] ?? (await start());
  provide(
    'postgresUrl',
    await own('COURIER_TEST_POSTGRES_URL', async () => {
      const { port } = stack.use(await startPostgres());
      return `postgres://postgres@127.0.0.1:${port}/postgres`;
    }),
  );
  provide('redisUrl', await own('COURIER_TEST_REDIS_URL', async () => stack.use(await startRedis()).url));
  const servers = stack.move();
  return () => servers.disposeAsync();
}
