/** Several gateways on one log, in PostgreSQL, and one broker, Redis. */
import { inject } from 'vitest';
import { createDatabase } from '../../scripts/servers.ts';
import { startGateway, type TestGateway } from './gateway.ts';

/** The environment that makes instances share a new, empty log. */
export async function sharedEnv(): Promise<{ COURIER_LOG: string; COURIER_BROKER: string }> {
  return { COURIER_LOG: await createDatabase(inject('postgresUrl')), COURIER_BROKER: inject('redisUrl') };
}

export interface TestCluster extends AsyncDisposable {
  readonly gateways: readonly [TestGateway, TestGateway, ...TestGateway[]];
}

/** Starts them one after another, so that all know of each other. */
export async function startCluster(env: Record<string, string> = {}): Promise<TestCluster> {
  await using stack = new AsyncDisposableStack();
  const shared = { ...(await sharedEnv()), COURIER_DRAIN_SECONDS: '2', ...env };
  const gateways: [TestGateway, TestGateway] = [stack.use(await startGateway(shared)), stack.use(await startGateway(shared))];
  const resources = stack.move();
  return { gateways, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}
