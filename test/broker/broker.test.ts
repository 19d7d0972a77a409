import { localBroker } from '../../src/broker/broker.ts';
import { describeBroker } from '../contracts/broker.ts';

describeBroker('local broker', {
  shared: false,
  kind: 'local',
  factory: () => ({ open: () => Promise.resolve(localBroker()), [Symbol.asyncDispose]: async () => undefined }),
});
