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
import { publish } from '../../../src/publish.ts';
import { listen } from '../../../src/transport/server.ts';
import { serveContender } from '../contender.ts';
import { BENCH_LIMITS, BENCH_TOKENS } from '../tokens.ts';

await serveContender(async () => {
  const log = openMemoryLog();
  const hub = new Hub();
  const tail = await Tail.start(log, hub);
  log.onCommit((events) => tail.offer(events));
  const feed = { log, hub, tail, reads: new SharedReads(log), draining: new AbortController().signal };
  const { port } = await listen(
    {
      feed,
      logger: createLogger({ logLevel: 'silent', logFormat: 'json' }),
      allowedOrigins: [],
      access: new Access({
        verify: tokenVerifier({ ...BENCH_TOKENS, secrets: [BENCH_TOKENS.secret] }),
        revocations: new Revocations({ kind: 'memory' }),
        limiter: memoryLimiter(),
        limits: parseLimits(BENCH_LIMITS),
      }),
      health: () => Promise.reject(new Error('not here')),
      stats: () => Promise.reject(new Error('not here')),
    },
    { host: '127.0.0.1', port: 0 },
  );
  const forge = principalOf('forge', 'service', { subscribe: [], publish: [] }, Date.now() + 86_400_000);
  return { port, publish: (events) => void publish(feed, forge, events as Parameters<typeof publish>[2]) };
});
