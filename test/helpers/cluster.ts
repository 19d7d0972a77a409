/** Several gateways on one log, in PostgreSQL, and one broker, Redis. */
import { inject } from 'vitest';
import { createDatabase } from '../../scripts/servers.ts';
import { startGateway, type TestGateway } from './gateway.ts';

/** The environment that makes instances share a new, empty log. */
export async function sharedEnv(): Promise<{ COURIER_LOG: string; COURIER_BROKER: string }> {
  return { COURIER_LOG: await createDatabase(inject('postgresUrl')), COURIER_BROKER: inject('redisUrl') };
}

export interface TestCluster<G = TestGateway> extends AsyncDisposable {
  readonly gateways: readonly [G, G, ...G[]];
}

/** Starts them one after another, so that all know of each other. */
export function startCluster(env: Record<string, string> = {}): Promise<TestCluster> {
  return startClusterOf(startGateway, env);
}

/** The same of gateways that `start` starts. */
export async function startClusterOf<G extends AsyncDisposable>(
  start: (env: Record<string, string>) => Promise<G>,
  env: Record<string, string> = {},
): Promise<TestCluster<G>> {
  await using stack = new AsyncDisposableStack();
  const shared = { ...(await sharedEnv()), COURIER_DRAIN_SECONDS: '2', ...env };
  const gateways: [G, G] = [stack.use(await start(shared)), stack.use(await start(shared))];
  const resources = stack.move();
  return { gateways, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}
