/** The demo's gateway, or its two and what they share. */
import { join } from 'node:path';
import { rendered } from '../cli/line.ts';
import { startBalancer } from './balancer.ts';
import { startGateway, startServers } from './processes.ts';

/** How often a gateway that somebody ends is started again. */
const RESTARTS = 20;

export interface Started {
  readonly url: string;
  /** Called half-way. */
  readonly halfWay: () => void;
  /** Of its gateways. */
  readonly crashed: readonly Promise<never>[];
}

/** One, with its log in the folder. */
export async function startSingle(env: NodeJS.ProcessEnv, folder: string, stack: AsyncDisposableStack): Promise<Started> {
  const { url, crashed } = await startGateway({ ...env, COURIER_LOG: `sqlite:${join(folder, 'courier.db')}` }, stack, RESTARTS);
  console.log(`gateway on ${url}, log in ${folder}`);
  return { url, halfWay: () => undefined, crashed: [crashed] };
}

/** Two with one address, a log in PostgreSQL and Redis as the broker; one of them is killed half-way. */
export async function startCluster(env: NodeJS.ProcessEnv, stack: AsyncDisposableStack): Promise<Started> {
  const { database, redis } = await startServers(stack);
  const shared = { ...env, COURIER_LOG: database, COURIER_BROKER: redis };
  const first = await startGateway(shared, stack, RESTARTS);
  const second = await startGateway(shared, stack, RESTARTS);
  const url = await startBalancer([first.url, second.url], stack);
  console.log(`gateways on ${first.url} and ${second.url} behind ${url}, log in PostgreSQL, broker Redis`);
  return {
    url,
    halfWay: () => {
      first.kill();
      console.log(rendered({ style: 'red', text: `${first.url} was killed` }));
    },
    crashed: [first.crashed, second.crashed],
  };
}
