/** Courier on the memory log: the gateway's own parts, composed as in `src/gateway.ts`, with a way to publish from within. */

import { Access } from '../../../src/auth/access.ts';
import { principalOf } from '../../../src/auth/principal.ts';
import { Revocations } from '../../../src/auth/revocations.ts';
import { tokenVerifier } from '../../../src/auth/tokens.ts';
import { Hub } from '../../../src/delivery/hub.ts';
import { SharedReads } from '../../../src/delivery/shared-reads.ts';
import { Tail } from '../../../src/delivery/tail.ts';
import { parseLimits } from '../../../src/limits/limits.ts';
import { memoryLimiter } from '../../../src/limits/memory.ts';
import { openMemoryLog } from '../../../src/log/memory.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import { createMetrics } from '../../../src/observe/metrics.ts';
import { publish } from '../../../src/publish.ts';
import { type Listener, listen } from '../../../src/transport/server.ts';
import { serveContender } from '../contender.ts';
import { BENCH_LIMITS, BENCH_TOKENS } from '../tokens.ts';

await serveContender(async () => {
  const log = openMemoryLog();
  let listener: Listener | undefined;
  const meter = createMetrics({
    connections: () => listener?.connections() ?? { trpc: 0, plain: 0 },
    channels: () => hub.topics,
    subscriptions: () => hub.listeners,
    bounds: () => log.bounds(),
    logReads: () => 0,
    tailRepairs: () => tail.repairs,
  });
  const logger = createLogger({ logLevel: 'silent', logFormat: 'json' });
  const hub = new Hub({ meter });
  const tail = await Tail.start(log, hub);
  log.onCommit((events) => tail.offer(events));
  const feed = { log, hub, tail, reads: new SharedReads(log), draining: new AbortController().signal, meter };
  listener = await listen(
    {
      feed,
      logger,
      allowedOrigins: [],
      access: new Access({
        verify: tokenVerifier({ ...BENCH_TOKENS, secrets: [BENCH_TOKENS.secret] }),
        revocations: new Revocations({ kind: 'memory' }),
        limiter: memoryLimiter(),
        limits: parseLimits(BENCH_LIMITS),
        meter,
        logger,
      }),
      health: () => Promise.reject(new Error('not here')),
      control: { stats: () => Promise.reject(new Error('not here')), setLogLevel: () => undefined },
      metrics: () => Promise.reject(new Error('not here')),
    },
    { host: '127.0.0.1', port: 0 },
  );
  const forge = principalOf('forge', 'service', { subscribe: [], publish: [] }, Date.now() + 86_400_000);
  return { port: listener.port, publish: (events) => void publish(feed, forge, events as Parameters<typeof publish>[2]) };
});
