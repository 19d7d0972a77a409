/** A PostgreSQL server with a standby, and gateways on them. */
import { inject } from 'vitest';
import { startPostgres, startStandby } from '../../scripts/servers.ts';
import type { Instances } from './instances.ts';
import { startProxy } from './proxy.ts';

/** A database on two servers, the second of which follows the first over a proxy. */
export async function startPair() {
  await using stack = new AsyncDisposableStack();
  const primary = stack.use(await startPostgres());
  const url = new URL(await primary.createDatabase());
  const proxy = stack.use(await startProxy(primary.port));
  const standby = stack.use(await startStandby(primary, { port: proxy.port }));
  const hosts = `127.0.0.1:${primary.port},127.0.0.1:${standby.port}`;
  const env = {
    COURIER_LOG: `${url.href.replace(url.host, hosts)}?target_session_attrs=read-write`,
    COURIER_BROKER: inject('redisUrl'),
    COURIER_DRAIN_SECONDS: '2',
  };
  const resources = stack.move();
  return {
    primary,
    standby,
    proxy,
    env,
    /** From then on nothing is acknowledged that the standby does not have. */
    waitForStandby: async () => {
      await primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
      await primary.execute('SELECT pg_reload_conf()');
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Starts those again that have ended by themselves, as a supervisor does. Resolves to how they ended. */
export function restartEnded(instances: Instances): Promise<(number | string)[]> {
  return Promise.all(instances.urls.map((_, index) => instances.restarted(index)));
}
