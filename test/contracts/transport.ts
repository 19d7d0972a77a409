/** What is guaranteed of whatever is connected for long, as tests. Each transport passes them all, over real sockets. */
import { describe } from 'vitest';
import type { TransportDriver } from '../helpers/transports.ts';
import { describeAdmission } from './transport/admission.ts';
import { describeDrain } from './transport/drain.ts';
import { describeLimits } from './transport/limits.ts';
import { describeListing } from './transport/listing.ts';
import { describeLiveness } from './transport/liveness.ts';
import { describeQuiet } from './transport/quiet.ts';
import { describeRights } from './transport/rights.ts';
import { describeStall } from './transport/stall.ts';
import { describeWatching } from './transport/watching.ts';

export function describeTransport(driver: TransportDriver): void {
  describe(driver.name, () => {
    describeAdmission(driver);
    describeLimits(driver);
    describeRights(driver);
    describeStall(driver);
    describeLiveness(driver);
    describeQuiet(driver);
    describeDrain(driver);
    describeListing(driver);
    describeWatching(driver);
  });
}
