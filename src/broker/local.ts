/** The broker of a single instance: there is nobody else to tell. */
import type { Broker } from './broker.ts';

export function localBroker(): Broker {
  return {
    publish: () => undefined,
    onEvents: () => () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
