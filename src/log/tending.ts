/** What a log needs from time to time, of one process however many use it. */

import type { Failures } from '../observe/failures.ts';
import { logConcerns } from '../observe/health.ts';
import type { Logger } from '../observe/logger.ts';
import type { EventLog } from './log.ts';
import { startRetention } from './retention.ts';

export interface TendingOptions {
  readonly retentionMs: number;
  readonly failures: Failures;
  readonly logger: Logger;
}

/** Trims it, and warns of what an operator should see to. */
export function tendLog(log: EventLog, { retentionMs, failures, logger }: TendingOptions): Disposable {
  using stack = new DisposableStack();
  stack.use(startRetention(log, { retentionMs, onError: (error) => failures.report('log', 'retention failed', error) }));
  stack.use(logConcerns(() => log.concerns, logger.named('log')));
  const resources = stack.move();
  return { [Symbol.dispose]: () => resources.dispose() };
}
