/** What an operator should see to is logged once when it begins, and once when it is over. */
import type { Concern } from '../log/log.ts';
import type { Logger } from './logger.ts';

const LOOK_MS = 5000;

export function logConcerns(concerns: () => readonly Concern[], logger: Logger, lookMs = LOOK_MS): Disposable {
  let known = new Set<string>();
  const look = () => {
    const now = new Map(concerns().map(({ about, action }) => [about, action]));
    for (const [about, action] of now) if (!known.has(about)) logger.warn('the event log needs attention', { about, action });
    for (const about of known) if (!now.has(about as Concern['about'])) logger.info('the event log needs no attention any more', { about });
    known = new Set(now.keys());
  };
  const timer = setInterval(look, lookMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
