/** Courier on the memory log, with a way to publish from within. */
import { principalOf } from '../../src/auth/principal.ts';
import { parseConfig } from '../../src/config.ts';
import { contract } from '../../src/contracts/lumiere/contract.ts';
import { createGateway, type GatewayOptions } from '../../src/gateway.ts';
import { publish } from '../../src/publish.ts';
import type { Contender } from './contender.ts';
import { benchEnvironment } from './environment.ts';

export async function startCourier(options: Omit<GatewayOptions, 'contract'> = {}): Promise<Contender> {
  const config = parseConfig({
    ...benchEnvironment('memory:'),
    COURIER_LOG_LEVEL: 'silent',
  });
  const { port, pipeline } = await createGateway(config, { contract, ...options });
  const principal = principalOf(contract, 'forge', 'service', { subscribe: [], publish: [] }, Date.now() + 86_400_000);
  const connection = { principal, assertOpen: () => undefined };
  const call = { connection, requestId: 'bench', traceparent: undefined };
  return { port, publish: (events) => void publish(pipeline, call, events as Parameters<typeof publish>[2]) };
}
