/** Courier on the memory log, with a way to publish from within. */
import { principalOf } from '../../../src/auth/principal.ts';
import { parseConfig } from '../../../src/config.ts';
import { createGateway } from '../../../src/gateway.ts';
import { publish } from '../../../src/publish.ts';
import { serveContender } from '../contender.ts';
import { BENCH_LIMITS, BENCH_TOKENS } from '../tokens.ts';

await serveContender(async () => {
  const config = parseConfig({
    COURIER_PORT: '0',
    COURIER_LOG: 'memory:',
    COURIER_JWT_SECRET: BENCH_TOKENS.secret,
    COURIER_LIMITS: BENCH_LIMITS,
    COURIER_LOG_LEVEL: 'silent',
  });
  const { port, feed } = await createGateway(config, { metered: process.env['COURIER_BENCH_METERED'] !== 'no' });
  const principal = principalOf('forge', 'service', { subscribe: [], publish: [] }, Date.now() + 86_400_000);
  const call = { principal, requestId: 'bench', traceparent: undefined };
  return { port, publish: (events) => void publish(feed, call, events as Parameters<typeof publish>[2]) };
});
