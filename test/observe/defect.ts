/** Loaded into a gateway before its own code: its positions cannot be written, which no code expects. */
import { Positions } from '../../src/log/positions.ts';

Positions.prototype.at = () => {
  throw new TypeError('unexpected', { cause: new Error('secret detail') });
};
