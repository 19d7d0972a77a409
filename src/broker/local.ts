/** The broker of a single instance: there is nobody else to tell. */
import type { Broker } from './broker.ts';

export function localBroker(): Broker {
  return {
    kind: 'local',
    problem: undefined,
    publish: () => undefined,
    listen: () => () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
